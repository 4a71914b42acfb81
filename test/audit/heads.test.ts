import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { Heads } from '../../src/audit/proof/heads.js';
import { readHead, readTrustedHeads } from '../../src/audit/verify/verify.js';
import { encodeEvent } from '../../src/domain/codec.js';
import { NotExtended } from '../../src/log/log.js';
import { decodeCommit } from '../../src/projections/commitBuffer.js';
import { StoredMerkleReader, TileReader, tilesProjection } from '../../src/projections/models/merkleTiles.js';
import { Projector } from '../../src/projections/projector.js';
import { type OpenVault, openVault } from '../../src/vault/openVault.js';
import { MemoryLog } from '../support/memoryLog.js';
import { rejection } from '../support/rejection.js';
import { MemoryRows } from '../support/rowsMemory.js';
import { tempDir } from '../support/tempDir.js';

const user = '00000000-0000-4000-8000-000000000001';
const leaf = (version: number): string =>
  encodeEvent({
    stream: `user:${user}`,
    version,
    type: 'UserWentOnline',
    data: { userId: user },
    actor: user,
    recordedAt: '2026-01-01T00:00:00.000Z',
    commandId: user,
  });

/** A node that signs, with a log and its own tiles. */
async function signerOf(vault: OpenVault, log: MemoryLog): Promise<Heads> {
  const rows = new MemoryRows();
  const projector = await Projector.open(rows, [tilesProjection], 1);
  let folding = Promise.resolve();
  const fold = async () => {
    await projector.fold((await log.read(0, projector.position(0), 10_000)).map(decodeCommit));
    await projector.write();
  };
  const waitFor = (): Promise<void> => {
    folding = folding.then(fold);
    return folding;
  };
  const { heads, signing } = vault;
  return new Heads({
    origin: 'test',
    vault: { heads, signing },
    log,
    merkleReader: new StoredMerkleReader(log, new TileReader(rows)),
    progress: { waitFor },
  });
}

describe('signed heads', () => {
  let vault: OpenVault;
  let log: MemoryLog;
  let written = 0;
  const write = (events: number) => log.rival(Array.from({ length: events }, () => leaf(++written)));
  beforeEach(async () => {
    vault = await openVault({ engine: { kind: 'sqlite', dataDir: tempDir() }, masterKey: randomBytes(32) });
    log = new MemoryLog();
    write(3);
  });
  afterEach(() => vault.close());

  it('are of one text a size, whoever signs, and verified by the keys that are told', async () => {
    const nodes = [await signerOf(vault, log), await signerOf(vault, log)];
    const notes = new Map<number, string>();
    for (let round = 0; round < 20; round++) {
      write(1 + round * 7);
      for (const { size, root, note } of await Promise.all(nodes.map((node) => node.advance(0)))) {
        expect(notes.get(size) ?? note).to.equal(note);
        expect(root).to.equal(log.commits().findLast((commit) => commit.size === size)?.root);
        notes.set(size, note);
      }
    }
    expect(notes).to.have.property('size', 20);
    const keys = (await nodes[0]?.keys()) ?? [];
    const { trustedHeads, mismatch } = readTrustedHeads({ heads: [...notes.values()], since: [], keys });
    expect(mismatch).to.equal(undefined);
    expect(trustedHeads).to.have.length(20);
  });

  it('are signed with the newest key once it is rotated, and all keys are told, the newest first', async () => {
    const heads = await signerOf(vault, log);
    const { note: old } = await heads.advance(0);
    await vault.signing.rotate();
    write(1);
    const { note } = await heads.advance(0);
    const [newest = '', oldest = ''] = await heads.keys();
    expect(readTrustedHeads({ heads: [note], since: [], keys: [newest] }).mismatch).to.equal(undefined);
    expect(readTrustedHeads({ heads: [old], since: [], keys: [oldest] }).mismatch).to.equal(undefined);
    expect(readTrustedHeads({ heads: [old], since: [], keys: [newest] }).mismatch).not.to.equal(undefined);
  });

  it('are not signed of a log that lacks, or has otherwise, what was signed, until an operator accepts it', async () => {
    write(200);
    const { size } = await (await signerOf(vault, log)).advance(0);
    const restored = new MemoryLog();
    for (const commit of log.commits().slice(0, 1)) await restored.append(commit);
    const shorter = await signerOf(vault, restored);
    expect(await rejection(shorter.check(0))).to.be.instanceOf(NotExtended);
    expect(await rejection(shorter.advance(0))).to.be.instanceOf(NotExtended);
    expect(shorter.isBroken).to.equal(true);
    for (let more = 0; more < 2; more++) restored.rival(Array.from({ length: 200 }, () => leaf(++written)));
    const other = await signerOf(vault, restored);
    expect(await rejection(other.check(0))).to.be.instanceOf(NotExtended);
    expect(await rejection(other.advance(0))).to.be.instanceOf(NotExtended);
    expect((await vault.heads.get(0))?.size).to.equal(size);
    expect((await other.accept(0)).size).to.equal(403);
    expect(readHead((await other.advance(0)).note).size).to.equal(403);
    await other.check(0);
    expect(other.isBroken).to.equal(false);
  });
});
