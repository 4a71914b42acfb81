import { expect } from 'chai';
import fc from 'fast-check';
import { ask, type FakeTarget, type Reply, startHttp } from '../support/http.js';
import { runs } from '../support/lanes.js';

describe('an error over REST', () => {
  let target: FakeTarget;
  before(async () => {
    target = await startHttp();
  });
  after(() => target.close());

  const staysSmall = ({ body, text, status }: Reply, causeBytes: number): void => {
    expect(status).to.equal(400);
    expect(body.fields).to.have.length.within(1, 20);
    expect(Buffer.byteLength(text)).to.be.at.most(16 * 1024);
    expect(Buffer.byteLength(text)).to.be.at.most(causeBytes + 1024);
  };
  const names = fc.uniqueArray(fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }), {
    minLength: 1,
    // In a query they have at most 12,000 bytes: Node refuses headers above 16 KiB.
    maxLength: 25,
  });

  it('has at most 20 fields and 16 KiB, and is at most 1 KiB larger than the path and body that caused it', async () => {
    const many = Array.from({ length: 5000 }, (_, i) => `${i}`);
    const long = ['x'.repeat(60_000)];
    await fc.assert(
      fc.asyncProperty(fc.oneof(names, fc.constantFrom('many', 'long')), async (drawn) => {
        // Long lists are named, so that a failure prints their name.
        const keys = drawn === 'many' ? many : drawn === 'long' ? long : drawn;
        const raw = JSON.stringify(Object.fromEntries(keys.map((key) => [key, 1])));
        const headers = { 'content-type': 'application/json' };
        const causeBytes = Buffer.byteLength(`/user/${raw}`);
        staysSmall(await ask(target.url, 'POST /user/', { raw, headers }), causeBytes);
      }),
      { numRuns: runs(50) },
    );
  });

  it('is at most 1 KiB larger than the query that caused it', async () => {
    const many = Array.from({ length: 600 }, (_, i) => `a${i}`);
    await fc.assert(
      fc.asyncProperty(fc.oneof(names, fc.constant('many')), async (drawn) => {
        const keys = drawn === 'many' ? many : drawn;
        const query = keys.map((key) => `${encodeURIComponent(key)}=`).join('&');
        staysSmall(await ask(target.url, `GET /health?${query}`), query.length);
      }),
      { numRuns: runs(50) },
    );
  });

  it('names the first 20 of the fields, and says how many more are wrong', async () => {
    const keys = Array.from({ length: 40 }, (_, i) => `parameter-with-a-long-name-${i}`.repeat(3));
    const { body } = await ask(target.url, `GET /health?${keys.map((key) => `${key}=1`).join('&')}`);
    expect(body.fields.map(({ path }: { path: string }) => path)).to.deep.equal(
      keys.slice(0, body.fields.length),
    );
    expect(body.fields).to.have.length(20);
    expect(body.detail).to.equal(`${keys[0]} is not a field of this request (and 39 more)`);
  });
});
