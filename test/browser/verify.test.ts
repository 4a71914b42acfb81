import { expect } from 'chai';
import fc from 'fast-check';
import {
  appendLeaves,
  consistencyPath,
  leafHash as hashOfLeaf,
  inclusionPath,
  type NodeSpan,
  spanHash,
} from '../../src/log/merkle.js';
import { fromBase64, toBase64, utf8 } from '../../web/audit/verify/bytes.js';
import { type NewHead, type TrustedHead, verifyNewHead } from '../../web/audit/verify/consistency.js';
import { verifyInclusion } from '../../web/audit/verify/inclusion.js';
import { emptyRoot, leafHash, rootByInclusion, rootsByConsistency } from '../../web/audit/verify/merkle.js';
import { Malformed, outcomeOf, type Step } from '../../web/audit/verify/verification.js';
import { Signer } from '../audit/signing.js';
import { chatOf, Newcomer, say } from '../e2e/newcomer.js';
import { ask } from '../support/http.js';
import { parley } from '../support/parley.js';
import { type ServerProcess, startServer } from '../support/server.js';

const leavesOf = (size: number, say = (n: number) => `leaf ${n}`): string[] =>
  Array.from({ length: size }, (_, n) => say(n));
const rootOfLeaves = (leaves: readonly string[]): string => appendLeaves([], 0, leaves).root;
const hashesOf = (path: readonly NodeSpan[], leaves: readonly string[]): string[] =>
  path.map((stretch) =>
    spanHash(stretch, ({ level, index }) =>
      rootOfLeaves(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level)),
    ),
  );
const failed = (steps: readonly Step[]) =>
  steps.filter(({ outcome }) => outcome === 'failed').map(({ title }) => title);

/** The text with one character replaced by another. */
function flipped(text: string, at: number): string {
  const other = text[at] === 'A' ? 'B' : 'A';
  return text.slice(0, at) + other + text.slice(at + 1);
}

describe('the verifier’s Merkle trees', () => {
  const sizes = fc.integer({ min: 1, max: 70 });

  it('compute the root from every leaf with the inclusion proof of the server', () =>
    fc.assert(
      fc.asyncProperty(sizes, fc.nat(), async (size, any) => {
        const leaves = leavesOf(size);
        const offset = any % size;
        const path = hashesOf(inclusionPath(offset, size), leaves).map(fromBase64);
        const leaf = await leafHash(utf8(leaves[offset] ?? ''));
        expect(toBase64(leaf)).to.equal(hashOfLeaf(leaves[offset] ?? ''));
        const { root, levels } = await rootByInclusion(leaf, offset, size, path);
        expect(root && toBase64(root)).to.equal(rootOfLeaves(leaves));
        expect(levels).to.have.lengthOf(path.length);
        const longer = [...path, leaf];
        expect((await rootByInclusion(leaf, offset, size, longer)).root).to.equal(undefined);
        if (path.length > 0)
          expect((await rootByInclusion(leaf, offset, size, path.slice(1))).root).to.equal(undefined);
      }),
    ));

  it('compute both roots with a consistency proof, and others if a leaf was changed', () =>
    fc.assert(
      fc.asyncProperty(sizes, sizes, fc.nat(), async (one, two, any) => {
        const [from, size] = [Math.min(one, two), Math.max(one, two) + 1];
        const leaves = leavesOf(size);
        const [older, newer] = [rootOfLeaves(leaves.slice(0, from)), rootOfLeaves(leaves)];
        const proof = hashesOf(consistencyPath(from, size), leaves);
        const roots = await rootsByConsistency(from, size, fromBase64(older), proof.map(fromBase64));
        expect(roots && [toBase64(roots.older), toBase64(roots.newer)]).to.deep.equal([older, newer]);
        const changed = leavesOf(size, (n) => (n === any % from ? 'another' : `leaf ${n}`));
        const lie = hashesOf(consistencyPath(from, size), changed).map(fromBase64);
        const wrong = await rootsByConsistency(from, size, fromBase64(older), lie);
        expect(wrong && [toBase64(wrong.older), toBase64(wrong.newer)]).to.not.deep.equal([
          older,
          rootOfLeaves(changed),
        ]);
        const short = await rootsByConsistency(from, size, fromBase64(older), []);
        expect(short).to.equal(undefined);
      }),
    ));

  it('support offsets beyond 32 bits', async () => {
    const leaf = await leafHash(utf8('x'));
    const size = 2 ** 40 + 1;
    const { root } = await rootByInclusion(leaf, size - 1, size, [leaf]);
    expect(root).to.not.equal(undefined);
    expect((await rootByInclusion(leaf, 5, size, [leaf])).root).to.equal(undefined);
  });
});

describe('the verifier’s base64', () => {
  it('is only decoded in canonical form', () => {
    expect(toBase64(fromBase64('AAE='))).to.equal('AAE=');
    for (const text of ['AAF=', 'AAE', 'AA E=', 'AAE=\n', '$$$$'])
      expect(() => fromBase64(text), text).to.throw(Malformed);
  });
});

describe('the verification of a signed head', () => {
  const signer = new Signer('example.org/log');
  const keys = `${signer.key(0)}\n`;
  const headOf = (leaves: readonly string[], by = signer) =>
    by.head({ partition: 0, events: leaves.length, root: rootOfLeaves(leaves) });
  const five = leavesOf(5);
  const trustedFive: TrustedHead = { note: headOf(five), keys: [signer.key(0)] };
  const never = async (): Promise<never> => {
    throw new Error('no proof is needed');
  };
  const proofFrom = (leaves: readonly string[]) => async (from: number, size: number) => ({
    hashes: hashesOf(consistencyPath(from, size), leaves.slice(0, size)),
  });
  const verify = (note: string, options: Partial<NewHead> = {}) =>
    verifyNewHead({ partition: 0, note, keys, trusted: trustedFive, getProof: never, ...options });

  it('passes if the head is the first, the same, or extends the trusted one', async () => {
    for (const trusted of [undefined, trustedFive]) {
      const { steps, checkpoint, key } = await verify(headOf(five), { trusted });
      expect(outcomeOf(steps)).to.equal('passed');
      expect(checkpoint?.size).to.equal(5);
      expect(key).to.equal(signer.key(0));
    }
    const nine = leavesOf(9);
    const { steps } = await verify(headOf(nine), { getProof: proofFrom(nine) });
    expect(outcomeOf(steps)).to.equal('passed');
  });

  it('demands the empty root of an empty log, which every log extends', async () => {
    const empty = headOf([]);
    expect(toBase64(await emptyRoot())).to.equal(rootOfLeaves([]));
    expect(outcomeOf((await verify(empty, { trusted: undefined })).steps)).to.equal('passed');
    const wrong = signer.head({ partition: 0, events: 0, root: rootOfLeaves(five) });
    expect(failed((await verify(wrong, { trusted: undefined })).steps)).to.deep.equal([
      'Consistency with earlier heads',
    ]);
    const trusted = { note: empty, keys: [signer.key(0)] };
    expect(outcomeOf((await verify(headOf(five), { trusted })).steps)).to.equal('passed');
  });

  it('fails if the log was rewritten, has shrunk, or has two roots of one size', async () => {
    const rewritten = leavesOf(9, (n) => `other ${n}`);
    const cases = [
      [headOf(rewritten), proofFrom(rewritten)],
      [headOf(leavesOf(4)), never],
      [headOf(rewritten.slice(0, 5)), never],
      [headOf(leavesOf(9)), async () => ({ hashes: [] })],
      [headOf(leavesOf(9)), async () => ({ hashes: ['x'] })],
      [headOf(leavesOf(9)), async () => undefined],
    ] as const;
    for (const [note, getProof] of cases)
      expect(failed((await verify(note, { getProof })).steps)).to.deep.equal([
        'Consistency with earlier heads',
      ]);
  });

  it('fails if one byte of the proof was changed', async () => {
    const nine = leavesOf(9);
    const { hashes } = await proofFrom(nine)(5, 9);
    for (const [i, hash] of hashes.entries())
      for (const at of [0, 20, hash.length - 2]) {
        const getProof = async () => ({ hashes: hashes.with(i, flipped(hash, at)) });
        const { steps } = await verify(headOf(nine), { getProof });
        expect(failed(steps), `hash ${i}, ${at}`).to.deep.equal(['Consistency with earlier heads']);
      }
  });

  it('fails if an unknown key or no key signed the head', async () => {
    const other = new Signer('example.org/log');
    const named = `${other.key(0)}\n${keys}`;
    const note = headOf(five, other);
    expect(failed((await verify(note, { keys: named })).steps)).to.deep.equal(['Known key']);
    expect(failed((await verify(note)).steps)).to.deep.equal(['Signing key']);
  });

  it('fails if the head is of another partition or another log', async () => {
    const elsewhere = signer.head({ partition: 1, events: 5, root: rootOfLeaves(five) });
    const { steps } = await verify(elsewhere, { keys: `${signer.key(1)}\n` });
    expect(failed(steps)).to.deep.equal(['Checkpoint']);
    const renamed = new Signer('another.example');
    const trusted = { note: headOf(five, renamed), keys: [renamed.key(0), signer.key(0)] };
    expect(failed((await verify(headOf(five), { trusted })).steps)).to.deep.equal([
      'Consistency with earlier heads',
    ]);
  });

  it('fails if any character of the head was changed', async () => {
    const note = headOf(five);
    for (let at = 0; at < note.length; at++) {
      const { steps } = await verify(flipped(note, at), { trusted: undefined });
      expect(failed(steps), `${at}: ${note.slice(at, at + 8)}`).to.have.lengthOf.above(0);
    }
  });

  it('fails if the key has a wrong id', async () => {
    const line = signer.key(0);
    const id = /\+([0-9a-f]{8})\+/.exec(line)?.[1] ?? '';
    const lying = line.replace(`+${id}+`, `+${id.startsWith('0') ? '1' : '0'}${id.slice(1)}+`);
    const { steps } = await verify(headOf(five), { keys: `${lying}\n`, trusted: undefined });
    expect(failed(steps)).to.deep.equal(['Signing key']);
  });

  it('rejects if the server gives no answer', async () => {
    const reason = await verify(headOf(leavesOf(9))).catch((error: unknown) => error);
    expect(reason).to.have.property('message', 'no proof is needed');
  });
});

describe('the verification of a proof from a real server', function () {
  this.timeout(120_000);
  let server: ServerProcess;
  let keys: string;
  let answer: { offset: number; size: number; entry: string; hashes: string[]; checkpoint: string };
  let event: Record<string, unknown> & { partition: number; offset: number };
  before(async () => {
    server = await startServer({ engine: 'sqlite', env: { RATE_LIMIT: 'off', LOG_ORIGIN: 'example.org' } });
    const [ann, bob] = [await Newcomer.at(server), await Newcomer.at(server)];
    const { code, err } = await parley(['role', 'auditor', ann.user.username ?? ''], server.settings);
    expect(code, err).to.equal(0);
    const device = await ann.device();
    const roomId = await chatOf(device, bob);
    for (let n = 0; n < 20; n++) await say(device, roomId, `message ${n}`);
    await device.close();
    const get = (path: string) => ask(server.url, `GET /audit/${path}`, ann);
    keys = (await get('log/key')).text;
    event = (await get(`events?stream=room:${roomId}&type=MessageSent`)).body.events[7];
    answer = (await get(`log/${event.partition}/proof?offset=${event.offset}`)).body;
  });
  after(() => server?.stop());
  const proven = (given: unknown, named = keys, claim = event) =>
    verifyInclusion(given, named, { partition: claim.partition, offset: claim.offset, event: claim });

  it('passes every step', async () => {
    const { steps, entry, key } = await proven(answer);
    expect(failed(steps)).to.deep.equal([]);
    expect(outcomeOf(steps)).to.equal('passed');
    expect(entry).to.include(event.commandId);
    expect(key).to.match(/^example\.org\/0\+/);
    expect(steps.map(({ title }) => title)).to.include.members(['Leaf', 'Root', 'Checkpoint', 'Signature']);
    expect(steps.filter(({ title }) => title.startsWith('Step '))).to.have.lengthOf(answer.hashes.length);
  });

  it('fails if any byte of the entry was changed', async () => {
    const bytes = fromBase64(answer.entry);
    for (let at = 0; at < bytes.length; at++) {
      const entry = toBase64(bytes.with(at, (bytes[at] ?? 0) ^ 1));
      expect(failed((await proven({ ...answer, entry })).steps), `byte ${at}`).to.include('Root');
    }
  });

  it('fails if any byte of a hash was changed, or a hash is missing or added', async () => {
    for (const [i, hash] of answer.hashes.entries()) {
      const bytes = fromBase64(hash);
      for (let at = 0; at < bytes.length; at++) {
        const hashes = answer.hashes.with(i, toBase64(bytes.with(at, (bytes[at] ?? 0) ^ 128)));
        expect(failed((await proven({ ...answer, hashes })).steps), `hash ${i}, ${at}`).to.deep.equal([
          'Root',
        ]);
      }
    }
    for (const hashes of [answer.hashes.slice(1), [...answer.hashes, answer.hashes[0]]])
      expect(failed((await proven({ ...answer, hashes })).steps)).to.deep.equal(['Root']);
  });

  it('fails if any character of the checkpoint or its signature was changed', async () => {
    for (let at = 0; at < answer.checkpoint.length; at++) {
      const checkpoint = flipped(answer.checkpoint, at);
      expect(failed((await proven({ ...answer, checkpoint })).steps), `at ${at}`).to.have.lengthOf.above(0);
    }
  });

  it('fails for another event, offset, size or key', async () => {
    const other = { ...event, offset: event.offset + 1 };
    expect(failed((await proven(answer, keys, other)).steps)).to.deep.equal(['Request']);
    const shown = { ...event, actor: 'somebody else' };
    expect(failed((await proven(answer, keys, shown)).steps)).to.deep.equal(['Event']);
    const size = { ...answer, size: answer.size + 1 };
    expect(failed((await proven(size)).steps)).to.include('Request');
    const stranger = new Signer('example.org').key(0);
    expect(failed((await proven(answer, `${stranger}\n`)).steps)).to.deep.equal(['Signing key']);
  });

  it('fails if the answer is not a proof', async () => {
    const { entry: _, ...without } = answer;
    for (const given of [
      undefined,
      null,
      7,
      [],
      {},
      without,
      { ...answer, hashes: 'x' },
      { ...answer, offset: -1 },
    ])
      expect(failed((await proven(given)).steps)).to.deep.equal(['Request']);
  });
});
