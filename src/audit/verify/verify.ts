import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { WorkerPool } from '../../base/workerThreads.js';
import type { Hash } from '../../log/log.js';
import { LogMismatch } from '../../log/logMeta.js';
import type { Engine } from '../../projections/store/engine.js';
import type { Checkpoint } from '../../projections/store/rowStore.js';
import { SqliteFile } from '../../projections/store/sqliteReads.js';
import { type OpenVault, openVault } from '../../vault/openVault.js';
import { createPlaintextCache, createTextOpener } from '../../vault/textOpener.js';
import { ED25519, keyIdOf } from '../proof/heads.js';
import {
  type AuditedLog,
  openAuditedLog,
  openStoredRows,
  reportDamage,
  type StoredRows,
  sqliteRows,
} from '../storedRows.js';
import { checkHolds } from './checkHolds.js';
import { checkKeys, type KeyUse, keyUses, usesBehind } from './checkKeys.js';
import { checkServerKeys } from './checkServerKeys.js';
import { findWrongEntry, findWrongTables, hasNames, type IndexedNames } from './checkTables.js';
import { type ComparedModel, findComparedModels } from './comparedModels.js';
import {
  type Mismatch,
  MismatchError,
  type OnProgress,
  type Report,
  toMismatch,
  toUnreadable,
} from './report.js';
import { VerifyRun } from './verifyRun.js';
import { SECTION_EVENTS, scratchFile } from './verifySection.js';
import { type TrustedHead, VerifyState } from './verifyState.js';
import type { VerifyApi, VerifyThreadData } from './verifyWorker.js';

/** The memory for one section's events. */
const YOUNG_GENERATION_MB = 128;

/** The log to check, and the heads to compare it with. */
export interface VerifyOptions extends SuppliedHeads {
  readonly engine: Engine;
  /** Opens the vault. Without it, neither keys nor the index of names are compared. */
  readonly masterKey?: Buffer;
  /** A directory for intermediate results, so that an interrupted check can continue. Emptied at the end. */
  readonly state?: string;
  readonly onProgress?: OnProgress;
  /** About how many events a thread checks in one call; 4,096 by default. */
  readonly sectionEvents?: number;
}

/** The stores of a check. */
interface Opened {
  readonly log: AuditedLog;
  readonly stored: StoredRows;
  readonly vault: OpenVault | undefined;
}

/**
 * Recomputes the log: every leaf, root, hash, stream version, position, epoch and time. Compares it with
 * signed heads, and the read models, their indexes and the keys with a fresh fold. Changes nothing, and may run beside a
 * server. Each part is checked as far as it was stored at the start. Rejects with the error of a store that does not
 * answer.
 */
export async function verifyLog(options: VerifyOptions): Promise<Report> {
  const { trustedHeads, mismatch } = readTrustedHeads(options);
  if (mismatch) return { partitions: [], models: [], mismatch };
  const closing: (() => unknown)[] = [];
  try {
    const log = await openLog(options.engine);
    closing.push(() => log.close());
    const stored = reportDamage(await openRows(options.engine));
    closing.push(() => stored.close());
    const { engine, masterKey } = options;
    const vault = masterKey && (await openVault({ engine, masterKey }));
    closing.push(() => vault?.close());
    return await verifyOpened({ log, stored, vault }, trustedHeads, options);
  } catch (error) {
    if (!(error instanceof MismatchError)) throw error;
    return { partitions: [], models: [], mismatch: error.mismatch };
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

async function openLog(engine: Engine): Promise<AuditedLog> {
  try {
    return await openAuditedLog(engine);
  } catch (error) {
    if (error instanceof LogMismatch) throw new MismatchError({ what: error.message });
    throw error;
  }
}

async function openRows(engine: Engine): Promise<StoredRows> {
  try {
    return await openStoredRows(engine);
  } catch (error) {
    throw new MismatchError(toUnreadable(error, 'the read models'));
  }
}

async function verifyOpened(
  opened: Opened,
  trustedHeads: readonly TrustedHead[],
  options: VerifyOptions,
): Promise<Report> {
  const { log, stored } = opened;
  const { engine } = options;
  const destroyed = await destructionProgress(opened);
  // Before the tails are read, so that no model and no head is ahead of them.
  const comparedModels = await findComparedModels(stored, log.partitions);
  const ends: Checkpoint[] = [];
  for (let partition = 0; partition < log.partitions; partition++) ends.push(await readEnd(log, partition));
  const beyond = trustedHeads.find(({ partition }) => partition >= log.partitions);
  if (beyond) throw new MismatchError(noSuchPartition(beyond, log.partitions));
  const wrongTables = await findWrongTables({ engine, log, stored });
  const begun = { history: log.history, ends, comparedModels, trustedHeads };
  let state: VerifyState | undefined = VerifyState.open(begun, options.state);
  let pool: WorkerPool<VerifyApi> | undefined;
  try {
    const data: VerifyThreadData = { engine, directory: state.directory };
    pool = new WorkerPool<VerifyApi>(
      new URL('./verifyWorker.js', import.meta.url),
      data,
      YOUNG_GENERATION_MB,
      // A thread takes 200 ms to start, in which another checks some thousand events.
      Math.ceil(ends.reduce((sum, { size }) => sum + size, 0) / (options.sectionEvents ?? SECTION_EVENTS)),
    );
    const report = await new VerifyRun(pool, state, begun, options).run();
    await pool.close();
    pool = undefined;
    // The log explains what is wrong in tables and keys, and keys explain what is wrong in names.
    const mismatch =
      report.mismatch ??
      wrongTables ??
      (await compareVault(opened, state.directory, { ends, destroyed })) ??
      (await compareNames(opened, comparedModels.find(hasNames)));
    state.discard();
    state = undefined;
    return mismatch ? { ...report, mismatch } : report;
  } finally {
    await pool?.close();
    state?.leave();
  }
}

const noSuchPartition = ({ partition, source }: TrustedHead, partitions: number): Mismatch => ({
  what: `the log has ${partitions} partitions, but ${source} is of partition ${partition}`,
  partition,
});

/** By partition, the number of events whose deletions are carried out. */
function destructionProgress({ log, vault }: Opened): Promise<number[]> {
  const partitions = Array.from({ length: log.partitions }, (_, partition) => partition);
  return Promise.all(partitions.map(async (partition) => vault?.keys.destructionProgress(partition) ?? 0));
}

/** The end of a partition now. Throws a `MismatchError` if its last commit cannot be read. */
async function readEnd(log: AuditedLog, partition: number): Promise<Checkpoint> {
  try {
    const tail = await log.tail(partition);
    return { position: tail?.position ?? 0, size: tail?.size ?? 0 };
  } catch (error) {
    const { what } = toMismatch(error, partition, 0);
    throw new MismatchError({
      partition,
      what: `the last commit of partition ${partition} cannot be read: ${what}`,
    });
  }
}

/** Compares the index of names with the names that the vault's keys open. */
async function compareNames(
  { stored, vault }: Opened,
  comparedModel: ComparedModel | undefined,
): Promise<Mismatch | undefined> {
  if (!vault || !comparedModel) return undefined;
  const cache = createPlaintextCache();
  try {
    const names: IndexedNames = {
      notes: createTextOpener(vault.keys, cache).notes,
      isErasing: async (asked) => (await vault.erasures.list()).some(({ userId }) => userId === asked),
    };
    return await findWrongEntry(stored, comparedModel, names);
  } catch (error) {
    return toUnreadable(error, 'the index of names');
  } finally {
    cache.close();
  }
}

/** People and rooms whose keys are compared at once. */
const USES_PER_READ = 256;

/** Compares the keys of the vault with what the fresh fold says of them. */
async function compareVault(
  { log, vault }: Opened,
  directory: string,
  { ends, destroyed }: { readonly ends: readonly Checkpoint[]; readonly destroyed: readonly number[] },
): Promise<Mismatch | undefined> {
  if (!vault) return undefined;
  const fresh = ends.map((_, partition) =>
    sqliteRows(new SqliteFile(scratchFile(directory, partition), { readOnly: true, pragmas: [] })),
  );
  const behind = (partition: number) => usesBehind(log, partition, ends[partition]?.position ?? 0);
  try {
    for (const [partition, rows] of fresh.entries()) {
      const facts = { partition, destroyed: destroyed[partition] ?? 0, behind: () => behind(partition) };
      for (let after: string | undefined; ; ) {
        const page = await rows.page(keyUses.model, after, USES_PER_READ);
        const uses = new Map(page.map(([key, , , value]) => [key, parseUse(value)]));
        const mismatch = await checkKeys(vault, uses, facts);
        if (mismatch) return mismatch;
        after = page.at(-1)?.[0];
        if (after === undefined) break;
      }
    }
    const useOf = async (partition: number, key: string): Promise<KeyUse | undefined> => {
      const [row] = (await fresh[partition]?.get(keyUses.model, [key])) ?? [];
      return row && parseUse(row[3]);
    };
    return (
      (await checkHolds(vault.holds, { partitions: log.partitions, destroyed, useOf, behind })) ??
      (await checkServerKeys(vault.serverKeys, { log, useOf, behind }))
    );
  } finally {
    for (const rows of fresh) await rows.close();
  }
}

/** `keyUses` has made the rows of its table. */
const parseUse = (value: string | null): KeyUse => JSON.parse(value ?? '{}') as KeyUse;

/** Signed heads, and the verifier keys to check them with. */
export interface SuppliedHeads {
  /** The heads from the vault, or from a bundle. */
  readonly heads: readonly string[];
  /** Checkpoints that the operator kept elsewhere. */
  readonly since: readonly string[];
  /** Verifier keys (C2SP signed-note), one line each. */
  readonly keys: readonly string[];
}

/** The content of a signed head. */
export interface ParsedHead {
  readonly origin: string;
  readonly partition: number;
  readonly size: number;
  readonly root: Hash;
  /** The commit that ends with this head. */
  readonly commit: { readonly position: number; readonly hash: Hash };
  readonly note: string;
}

/**
 * Parses a checkpoint without checking its signature: origin, size, root and commit, one line each (C2SP
 * tlog-checkpoint with one extension line). Throws a `MismatchError` unless it is the checkpoint of a partition.
 */
export function readHead(note: string): ParsedHead {
  const [origin = '', size = '', root = '', extension = ''] = note.split('\n');
  const [, partition] = /\/(0|[1-9]\d*)$/.exec(origin) ?? [];
  const [, position, hash] = /^commit ([1-9]\d*) ([A-Za-z0-9+/]{43}=)$/.exec(extension) ?? [];
  const isHead = /^(0|[1-9]\d*)$/.test(size) && Buffer.from(root, 'base64').length === 32;
  if (partition === undefined || position === undefined || hash === undefined || !isHead)
    throw new MismatchError({
      what: `not a checkpoint of a partition: ${JSON.stringify(note.slice(0, 80))}`,
    });
  const commit = { position: Number(position), hash };
  return { origin, partition: Number(partition), size: Number(size), root, commit, note };
}

/** Checks the signatures of the heads. Returns a mismatch if none of the keys has signed one of them. */
export function readTrustedHeads({ heads, since, keys }: SuppliedHeads): {
  trustedHeads: TrustedHead[];
  mismatch?: Mismatch;
} {
  try {
    const verifiers = keys.map(readKey);
    const trusted = (note: string, whose: string): TrustedHead => {
      const { origin, partition, size, root, commit } = readHead(note);
      const source = `the ${whose} of ${size} events`;
      if (verifiers.some((key) => key.name === origin && isSignedBy(key, note)))
        return { partition, size, root, commit, source };
      const what = `${source} of ${origin} has no valid signature by a known key`;
      throw new MismatchError({ what, partition });
    };
    return {
      trustedHeads: [
        ...heads.map((note) => trusted(note, 'signed head')),
        ...since.map((note) => trusted(note, 'checkpoint kept elsewhere')),
      ],
    };
  } catch (error) {
    if (error instanceof MismatchError) return { trustedHeads: [], mismatch: error.mismatch };
    throw error;
  }
}

interface VerifierKey {
  readonly name: string;
  /** The four bytes before each of the key's signatures. */
  readonly id: Buffer;
  readonly key: KeyObject;
}

/** Parses a line such as `name+1234abcd+AbC…`. The id is the beginning of the SHA-256 of name and key. */
function readKey(line: string): VerifierKey {
  const [, name = '', id = '', text = ''] = /^([^\s+]+)\+([0-9a-f]{8})\+(\S+)$/.exec(line) ?? [];
  const bytes = strictBase64(text);
  const expected = keyIdOf(name, bytes);
  if (bytes[0] !== ED25519 || bytes.length !== 33 || expected.toString('hex') !== id)
    throw new MismatchError({ what: `not a verifier key: ${JSON.stringify(line.slice(0, 80))}` });
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: bytes.subarray(1).toString('base64url') };
  return { name, id: expected, key: createPublicKey({ key: jwk, format: 'jwk' }) };
}

function isSignedBy({ name, id, key }: VerifierKey, note: string): boolean {
  const end = note.lastIndexOf('\n\n') + 1;
  const text = Buffer.from(note.slice(0, end));
  return note
    .slice(end + 1)
    .split('\n')
    .some((line) => {
      const prefix = `— ${name} `;
      const signature = strictBase64(line.startsWith(prefix) ? line.slice(prefix.length) : '');
      return signature.subarray(0, 4).equals(id) && verify(null, text, key, signature.subarray(4));
    });
}

/** Decodes base64; empty unless the text is the canonical encoding. */
function strictBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : Buffer.alloc(0);
}
