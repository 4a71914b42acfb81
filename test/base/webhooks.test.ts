import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { isSigningSecret, newSigningSecret, signedHeaders } from '../../src/base/webhooks.js';

const secretOf = (bytes: number): string => `whsec_${randomBytes(bytes).toString('base64')}`;

describe('signatures of webhooks', () => {
  const [first, second] = [newSigningSecret(), newSigningSecret()];
  const signed = { id: 'evt_1', body: '{"type":"MessageSent"}' };

  it('are what the library of the specification verifies, for any id and body', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.json(), (id, body) => {
        const headers = signedHeaders({ id, body }, [first], new Date());
        expect(new Webhook(first).verify(body, headers)).to.deep.equal(JSON.parse(body));
      }),
    );
  });

  it('are one for each secret, and none of another', () => {
    const headers = signedHeaders(signed, [first, second], new Date());
    for (const secret of [first, second]) new Webhook(secret).verify(signed.body, headers);
    expect(() => new Webhook(newSigningSecret()).verify(signed.body, headers)).to.throw(/signature/);
  });

  it('cover the id, the time and the body', () => {
    const headers = signedHeaders(signed, [first], new Date());
    const refuses = (body: string, changed: object = {}) =>
      expect(() => new Webhook(first).verify(body, { ...headers, ...changed })).to.throw();
    refuses(`${signed.body} `);
    refuses(signed.body, { 'webhook-id': 'evt_2' });
    refuses(signed.body, { 'webhook-timestamp': String(Number(headers['webhook-timestamp']) + 1) });
    const old = signedHeaders(signed, [first], new Date(Date.now() - 3_600_000));
    expect(() => new Webhook(first).verify(signed.body, old)).to.throw(/timestamp/i);
  });

  it('are made with a secret of 24 to 64 bytes alone', () => {
    for (const text of [first, secretOf(24), secretOf(64), secretOf(25).replace(/=+$/, '')])
      expect(isSigningSecret(text), text).to.equal(true);
    for (const text of ['', 'whsec_', 'whsec_§', secretOf(23), secretOf(65), first.slice(6), `${first}!`])
      expect(isSigningSecret(text), text).to.equal(false);
    expect(() => signedHeaders(signed, ['whsec_'], new Date())).to.throw(/24 to 64 bytes/);
  });
});
