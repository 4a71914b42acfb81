import { createHmac } from 'node:crypto';
import { expect } from 'chai';
import { exportSPKI, importJWK, type JWTHeaderParameters, type JWTPayload } from 'jose';
import { Egress } from '../../src/base/egress.js';
import { ParleyError } from '../../src/base/errors.js';
import { Issuer } from '../../src/host/issuer.js';
import { IssuerKeys } from '../../src/host/issuerKeys.js';
import { FakeIssuer, newIssuerKey } from '../support/fakeIssuer.js';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;

/** A header with this key id, or with none: JSON leaves it out. */
const kidOf = (kid: string | undefined) => ({ kid }) as Partial<JWTHeaderParameters>;

/** Signs the parts with a secret, as HS256 does. */
function signWithSecret(header: object, payload: object, secret: string | Buffer): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const text = `${encode(header)}.${encode(payload)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

describe('a token of the issuer', () => {
  let issuer: FakeIssuer;
  let verifier: Issuer;
  let time = 0;
  const newVerifier = () => {
    const keys = new IssuerKeys(issuer.url, new Egress([{ address: '127.0.0.0', prefix: 8 }]), {
      now: () => time,
    });
    return new Issuer({ issuer: issuer.url, audience: 'parley', keys });
  };
  beforeEach(async () => {
    issuer = await FakeIssuer.start();
    verifier = newVerifier();
  });
  afterEach(() => issuer.close());

  const isGood = async (token: string, at = new Date()): Promise<boolean> =>
    (await verifier.verify(token, at)) !== undefined;
  const codeOf = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'none',
      (error: unknown) => (error instanceof ParleyError ? error.code : String(error)),
    );

  it('says who its subject is, and until when', async () => {
    const token = await issuer.token({ sub: 'ada', sid: 's1', preferred_username: 'ada', name: 'Ada L.' });
    const now = Math.floor(Date.now() / 1000);
    const claims = await verifier.verify(token, new Date());
    expect(claims).to.include({ subject: 'ada', sid: 's1', username: 'ada', name: 'Ada L.' });
    expect(claims?.issuedAt).to.be.within(now - 5, now);
    expect(claims?.endsAt).to.equal((claims?.issuedAt ?? 0) + 300 + 60);
  });

  it('is signed by RS256, PS256, ES256 or EdDSA', async () => {
    for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA']) {
      const key = await newIssuerKey(alg);
      issuer.keys = [key.publicJwk];
      verifier = newVerifier();
      expect(await isGood(await issuer.token({}, { key })), alg).to.equal(true);
    }
    for (const alg of ['RS384', 'RS512', 'PS384', 'ES384', 'ES512']) {
      const key = await newIssuerKey(alg);
      issuer.keys = [key.publicJwk];
      verifier = newVerifier();
      expect(await isGood(await issuer.token({}, { key })), alg).to.equal(false);
    }
  });

  it('is of this issuer, for this audience, and of this time, with 60 s of leeway', async () => {
    for (const claims of [
      ...[
        { iss: 'https://issuer.test' },
        { aud: 'other' },
        { aud: ['other'] },
        { sub: '' },
        { sub: 'x'.repeat(256) },
      ],
      ...[{ exp: -61 }, { iat: 62 }, { nbf: Math.floor(Date.now() / 1000) + 62 }],
    ])
      expect(await isGood(await issuer.token(claims)), JSON.stringify(claims)).to.equal(false);
    for (const claims of [{ exp: -50 }, { iat: 50 }, { aud: ['other', 'parley'] }, { sub: 'x'.repeat(255) }])
      expect(await isGood(await issuer.token(claims)), JSON.stringify(claims)).to.equal(true);
  });

  it('has an end, a time of issue and a subject', async () => {
    const { privateKey, kid } = issuer.key;
    const now = Math.floor(Date.now() / 1000);
    const all = { iss: issuer.url, aud: 'parley', sub: 'ada', iat: now, exp: now + 300 };
    const { SignJWT } = await import('jose');
    for (const left of Object.keys(all)) {
      const { [left as keyof typeof all]: _, ...claims } = all;
      const token = await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid }).sign(privateKey);
      expect(await isGood(token), `without ${left}`).to.equal(false);
    }
    const whole = await new SignJWT(all).setProtectedHeader({ alg: 'ES256', kid }).sign(privateKey);
    expect(await isGood(whole)).to.equal(true);
  });

  it('is refused without a signature, and with one by a public key as a secret', async () => {
    const rsa = await newIssuerKey('RS256');
    issuer.keys = [rsa.publicJwk, issuer.key.publicJwk];
    const token = await issuer.token({}, { key: rsa });
    const [header = '', payload = ''] = token.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    for (const forged of [`${none}.${payload}.`, `${header}.${payload}.`, `${none}.${payload}.AAAA`])
      expect(await isGood(forged), forged).to.equal(false);
    const publicKey = (await importJWK(rsa.publicJwk, 'RS256', { extractable: true })) as Parameters<
      typeof exportSPKI
    >[0];
    const pem = await exportSPKI(publicKey);
    const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    for (const secret of [pem, pem.trim(), der, JSON.stringify(rsa.publicJwk)])
      for (const alg of ['HS256', 'RS256', 'none'])
        expect(await isGood(signWithSecret({ alg, kid: rsa.kid }, claims, secret)), alg).to.equal(false);
  });

  it('is refused with a key, or an address of one, in its header', async () => {
    const mallory = await newIssuerKey();
    const headers: Record<string, unknown> = {
      jwk: mallory.publicJwk,
      jku: `${issuer.url}/keys`,
      x5u: `${issuer.url}/keys`,
      x5c: ['AAAA'],
    };
    for (const [name, value] of Object.entries(headers))
      for (const key of [mallory, issuer.key]) {
        // Libraries refuse to type such a header.
        const header = { [name]: value, kid: issuer.key.kid } as Partial<JWTHeaderParameters>;
        expect(await isGood(await issuer.token({}, { key, header })), name).to.equal(false);
      }
    expect(issuer.reads).to.equal(0);
  });

  it('is refused with the id of another key, and with a key of the wrong kind or curve', async () => {
    const [other, p384, mallory] = [
      await newIssuerKey('EdDSA'),
      await newIssuerKey('ES384'),
      await newIssuerKey(),
    ];
    issuer.keys = [issuer.key.publicJwk, other.publicJwk, { ...p384.publicJwk, alg: 'ES256' }];
    for (const [key, kid] of [
      [issuer.key, other.kid],
      [other, issuer.key.kid],
      [mallory, issuer.key.kid],
      [mallory, undefined],
    ] as const)
      expect(await isGood(await issuer.token({}, { key, header: kidOf(kid) }))).to.equal(false);
    const swapped = await issuer.token({}, { header: { kid: p384.kid } });
    expect(await isGood(swapped)).to.equal(false);
    expect(await isGood(await issuer.token({}, { header: kidOf(undefined) }))).to.equal(true);
  });

  it('is refused when it was altered, is too large, or is none', async () => {
    const [header, payload = '', signature = ''] = (await issuer.token()).split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const altered = Buffer.from(JSON.stringify({ ...claims, sub: 'admin' })).toString('base64url');
    for (const token of [
      ...[
        `${header}.${altered}.${signature}`,
        `${header}.${payload}.${signature.slice(0, -4)}AAAA`,
        'a.b.c',
        '..',
      ],
      ...['', 'x', `${header}.${payload}`, `${header}.${payload}.${signature}.x`],
      await issuer.token({ large: 'x'.repeat(8192) }),
    ])
      expect(await isGood(token), token.slice(0, 40)).to.equal(false);
    expect(await isGood(await issuer.token({ large: 'x'.repeat(5000) }))).to.equal(true);
  });

  it('of a new key is good after one more look at the keys; others cause one look in 30 s', async () => {
    expect(await isGood(await issuer.token())).to.equal(true);
    expect(issuer.reads).to.equal(1);
    const rotated = await newIssuerKey();
    issuer.keys = [rotated.publicJwk];
    expect(await isGood(await issuer.token({}, { key: rotated }))).to.equal(true);
    expect(issuer.reads).to.equal(2);
    expect(await isGood(await issuer.token()), 'of the key that is gone').to.equal(false);
    for (let i = 0; i < 5; i++)
      expect(await isGood(await issuer.token({}, { key: await newIssuerKey() }))).to.equal(false);
    expect(issuer.reads).to.equal(2);
    time += 30 * SECOND_MS;
    expect(await isGood(await issuer.token({}, { key: await newIssuerKey() }))).to.equal(false);
    expect(issuer.reads).to.equal(3);
  });

  it('is taken for 10 min without the issuer, and then it is overloaded, never unauthenticated', async () => {
    const good = await issuer.token();
    issuer.status = 500;
    expect(await codeOf(verifier.verify(good, new Date()))).to.equal('overloaded');
    issuer.status = 200;
    time += 2 * SECOND_MS;
    expect(await isGood(good)).to.equal(true);
    issuer.status = 500;
    time += 10 * MINUTE_MS - SECOND_MS;
    expect(await isGood(good)).to.equal(true);
    expect(
      await codeOf(verifier.verify(await issuer.token({}, { key: await newIssuerKey() }), new Date())),
    ).to.equal('overloaded');
    time += SECOND_MS;
    expect(await codeOf(verifier.verify(good, new Date()))).to.equal('overloaded');
    issuer.status = 200;
    time += 2 * SECOND_MS;
    expect(await isGood(good)).to.equal(true);
  });

  it('is not asked for at an address that is not permitted', async () => {
    const keys = new IssuerKeys(issuer.url, new Egress([]));
    verifier = new Issuer({ issuer: issuer.url, audience: 'parley', keys });
    expect(await codeOf(verifier.verify(await issuer.token(), new Date()))).to.equal('overloaded');
    expect(issuer.reads).to.equal(0);
  });

  it('is no logout token, nor the other way round', async () => {
    const now = new Date();
    expect(await isGood(await issuer.logoutToken({ sub: 'ada' }))).to.equal(false);
    expect(await isGood(await issuer.logoutToken({ sub: 'ada' }, { header: { typ: 'JWT' } }))).to.equal(
      false,
    );
    const logOut = async (claims: JWTPayload) =>
      (await verifier.verifyLogout(await issuer.logoutToken(claims), now)) !== undefined;
    expect(await logOut({ sub: 'ada' })).to.equal(true);
    expect(await logOut({ sid: 's1' })).to.equal(true);
    for (const claims of [
      ...[
        {},
        { sub: 'ada', nonce: 'x' },
        { sub: 'ada', events: undefined },
        { sub: 'ada', events: { other: {} } },
      ],
      ...[
        { sub: 'ada', aud: 'other' },
        { sub: 'ada', exp: -61 },
        { sub: 'ada', iss: 'https://issuer.test' },
      ],
    ])
      expect(await logOut(claims), JSON.stringify(claims)).to.equal(false);
    expect(await verifier.verifyLogout(await issuer.token({ sub: 'ada' }), now)).to.equal(undefined);
  });
});
