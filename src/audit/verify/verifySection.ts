import { join } from 'node:path';
import { LogEndsEarly, readRange } from '../../log/checkLog.js';
import { emptyHead, FRONTIER_EVERY_COMMITS, type Head, headFrom } from '../../log/commit.js';
import { type DecodedCommit, decodeCommit } from '../../projections/commitBuffer.js';
import {
  type AnyProjection,
  collectKeys,
  type Folded,
  foldTouching,
  type Rows,
  selectTouching,
} from '../../projections/projection.js';
import type {
  Checkpoint,
  Model,
  ModelWrite,
  RowStore,
  WrittenRow,
} from '../../projections/store/rowStore.js';
import { openSqliteRows } from '../../projections/store/sqliteRows.js';
import type { AuditedLog, StoredRows } from '../storedRows.js';
import { keyUses } from './checkKeys.js';
import {
  type ComparedModel,
  compareMade,
  foldMade,
  isMadeOnce,
  type MadeRows,
  projectionOf,
  streamVersions,
} from './comparedModels.js';
import { type Mismatch, MismatchError, toMismatch } from './report.js';
import { checkChain, findMisdated, type TrustedHead } from './verifyState.js';

/**
 * About how many events a section has. They are in memory at once, and a row that they change is written
 * once.
 */
export const SECTION_EVENTS = 4096;

/** Commits of one partition that one thread checks in one call: `after` exclusive, `upTo` inclusive. */
export interface Section {
  readonly partition: number;
  readonly after: number;
  readonly upTo: number;
}

/**
 * Splits the rest of a partition into sections of about `events` events, at least one section. Each section
 * but the first begins behind a commit with a frontier, so that nothing before it need be read.
 */
export function sectionsOf({ partition, position }: Head, end: Checkpoint, events: number): Section[] {
  const perEvent = end.position / Math.max(1, end.size);
  const commits =
    Math.max(1, Math.ceil((events * perEvent) / FRONTIER_EVERY_COMMITS)) * FRONTIER_EVERY_COMMITS;
  const sections: Section[] = [];
  let after = position;
  do {
    const upTo = Math.min(end.position, (Math.floor(after / commits) + 1) * commits);
    sections.push({ partition, after, upTo });
    after = upTo;
  } while (after < end.position);
  return sections;
}

/**
 * Folds events into the rows of a store. Other threads fold into the same store in turn, so nothing is cached
 * between calls. Events that were folded before change nothing.
 */
async function foldFresh(
  store: RowStore,
  projection: AnyProjection,
  events: readonly Folded[],
): Promise<ModelWrite> {
  const touching = selectTouching(projection, events);
  const rows: Rows = new Map();
  if (touching.length > 0) {
    // A table holds rows of its own model, and only the projection reads their values.
    const model = projection.model as Model<unknown>;
    const known = await store.get(model, [...collectKeys(touching)]);
    foldTouching(projection, touching, (key) => known.get(key), rows);
  }
  return { model: projection.model, rows: [...rows.values()] };
}

/** The page cache of a scratch file: small, because the server beside needs memory more. */
const CACHE_KIB = 8192;

/** A section, with its known beginning. */
export interface SectionToCheck extends Section {
  /** The checked head before the section; by default the log's own record is used. */
  readonly from?: Head;
  /** The trusted heads of this partition. */
  readonly trustedHeads: readonly TrustedHead[];
  /** The read models that are compared. */
  readonly comparedModels: readonly ComparedModel[];
  /** Skips folds and comparisons, because this partition's rows have a mismatch already. */
  readonly skipsRows: boolean;
}

/** The result of a section checked by itself. */
export interface SectionResult {
  /** The head that the section assumes before it; undefined if it cannot be read. */
  readonly from?: Head;
  /** The head up to which its commits follow each other. */
  readonly head: Head;
  /** The first mismatch of its commits. */
  readonly mismatch?: Mismatch;
  /** The first mismatch of the rows that it makes. */
  readonly rowMismatch?: Mismatch;
  /** The number of rows that it makes, by read model of rows that one event makes. */
  readonly made: Readonly<Record<string, number>>;
}

/** The stores that a section is checked with. */
export interface SectionParts {
  readonly log: AuditedLog;
  readonly stored: StoredRows;
}

/** The scratch file for a partition's fresh fold. */
export const scratchFile = (directory: string, partition: number): string =>
  join(directory, `folded-${partition}.db`);

/** Opens the scratch file with all tables. */
export async function openScratch(
  directory: string,
  partition: number,
  comparedModels: readonly ComparedModel[],
): Promise<RowStore> {
  const scratch = openSqliteRows(scratchFile(directory, partition), CACHE_KIB);
  for (const { model } of [versions, keyUses, ...comparedModels.map(projectionOf)])
    await scratch.prepare(model);
  return scratch;
}

/** What is left to fold of a table whose rows one event makes. */
interface MadeFold extends Pick<MadeRows, 'before'> {
  /** Rows made in the section that later events change. */
  readonly changed: readonly WrittenRow[];
}

/** What must be folded when a section's turn comes. */
export interface SectionFold {
  readonly events: SectionEvents;
  /** By read model whose rows one event makes. */
  readonly made: ReadonlyMap<string, MadeFold>;
}

/**
 * Checks what does not depend on earlier sections: that the commits follow each other, and the rows that one
 * event makes. Returns what is to be folded when the section's turn comes.
 */
export async function checkSection(
  { log, stored }: SectionParts,
  section: SectionToCheck,
): Promise<{ found: SectionResult; fold: SectionFold }> {
  const { partition, after, upTo, trustedHeads, comparedModels, skipsRows } = section;
  let from: Head;
  try {
    from = section.from ?? (await claimedHead(log, partition, after));
  } catch (error) {
    const mismatch = toMismatch(error, partition, after);
    return { found: { head: emptyHead(partition), mismatch, made: {} }, fold: NOTHING };
  }
  const { head, commits, mismatch } = await checkChain(log, from, upTo, trustedHeads);
  const made: Record<string, number> = {};
  const found = { from, head, made };
  if (mismatch) return { found: { ...found, mismatch }, fold: NOTHING };
  if (skipsRows) return { found, fold: NOTHING };
  try {
    const events = new SectionEvents(partition, commits.map(decodeCommit));
    const misdated = findMisdated(commits, events.all);
    if (misdated) return { found: { ...found, mismatch: misdated }, fold: NOTHING };
    const folds = new Map<string, MadeFold>();
    for (const comparedModel of comparedModels) {
      if (!isMadeOnce(comparedModel)) continue;
      const rows = foldMade(projectionOf(comparedModel), events.heldBy(comparedModel));
      const { count, changed } = await compareMade(stored, comparedModel, rows);
      made[comparedModel.name] = count;
      folds.set(comparedModel.name, { before: rows.before, changed });
    }
    return { found, fold: { events, made: folds } };
  } catch (error) {
    return { found: { ...found, rowMismatch: toMismatch(error, partition, after) }, fold: NOTHING };
  }
}

/** The head after a commit, from the commit's own fields. */
async function claimedHead(log: AuditedLog, partition: number, position: number): Promise<Head> {
  if (position === 0) return emptyHead(partition);
  const [commit] = await log.read(partition, position - 1, 1);
  if (!commit) throw new LogEndsEarly(partition, position - 1);
  return headFrom(partition, [commit]);
}

/**
 * Folds a section behind those before it: each read model as far as it is stored, and stream versions to the
 * end. Returns a mismatch, and has written nothing in that case.
 */
export async function foldSection(
  scratch: RowStore,
  { partition, after, comparedModels }: SectionToCheck,
  log: AuditedLog,
  { events, made }: SectionFold,
): Promise<Mismatch | undefined> {
  try {
    const writes = [
      await foldFresh(scratch, streamVersions(log.partitions), events.all),
      await foldFresh(scratch, keyUses, events.all),
    ];
    for (const comparedModel of comparedModels) {
      const projection = projectionOf(comparedModel);
      const fold = made.get(comparedModel.name);
      if (!fold) writes.push(await foldFresh(scratch, projection, events.heldBy(comparedModel)));
      else {
        writes.push({ model: projection.model, rows: fold.changed });
        writes.push(await foldChanges(scratch, projection, fold.before, { log, partition, after }));
      }
    }
    await scratch.write(writes.filter(({ rows }) => rows.length > 0));
    return undefined;
  } catch (error) {
    return toMismatch(error, partition, after);
  }
}

/** Folds events into rows that earlier sections made. */
async function foldChanges(
  scratch: RowStore,
  projection: AnyProjection,
  before: MadeRows['before'],
  place: Pick<Section, 'partition' | 'after'> & { readonly log: AuditedLog },
): Promise<ModelWrite> {
  const rows: Rows = new Map();
  if (before.length > 0) {
    const keys = collectKeys(before);
    // A table holds rows of its own model, and only the projection reads their values.
    const known = new Map<string, WrittenRow>(
      await scratch.get(projection.model as Model<unknown>, [...keys]),
    );
    const absent = new Set([...keys].filter((key) => !known.has(key)));
    if (absent.size > 0)
      for (const [key, row] of await madeBefore(projection, absent, place)) known.set(key, row);
    foldTouching(projection, before, (key) => known.get(key), rows);
  }
  return { model: projection.model, rows: [...rows.values()] };
}

/**
 * Folds these rows from the beginning of the log. Needed where they were unchanged when their section was
 * checked, in a run that was interrupted.
 */
async function madeBefore(
  projection: AnyProjection,
  keys: ReadonlySet<string>,
  { log, partition, after }: Pick<Section, 'partition' | 'after'> & { readonly log: AuditedLog },
): Promise<Rows> {
  const rows: Rows = new Map();
  for await (const commit of readRange(log, { partition, after: 0, upTo: after })) {
    const touching = selectTouching(projection, decodeCommit(commit).events)
      .map(({ event, keys: all }) => ({ event, keys: all.filter((key) => keys.has(key)) }))
      .filter((one) => one.keys.length > 0);
    foldTouching(projection, touching, () => undefined, rows);
  }
  return rows;
}

/** The decoded events of a section. */
export class SectionEvents {
  readonly all: readonly Folded[];

  constructor(
    private readonly partition: number,
    private readonly commits: readonly DecodedCommit[],
  ) {
    this.all = eventsIn(commits);
  }

  /**
   * The events that a read model holds. Throws a `MismatchError` if its checkpoint names another number of
   * events.
   */
  heldBy({ name, checkpoints }: ComparedModel): readonly Folded[] {
    const { partition, commits } = this;
    const { position, size } = checkpoints[partition] ?? { position: 0, size: 0 };
    const last = commits.findLast((commit) => commit.position <= position);
    if (last?.position === position && last.size !== size) {
      const what = `the checkpoint of the read model ${name} counts ${size} events up to position ${position} of partition ${partition}, not ${last.size}`;
      throw new MismatchError({ what, partition, position });
    }
    if (last === commits.at(-1)) return this.all;
    return eventsIn(commits.filter((commit) => commit.position <= position));
  }
}

// A push for each event is several times as fast as `flatMap` here.
function eventsIn(commits: readonly DecodedCommit[]): Folded[] {
  const events: Folded[] = [];
  for (const commit of commits) for (const event of commit.events) events.push(event);
  return events;
}

const NOTHING: SectionFold = { events: new SectionEvents(0, []), made: new Map() };
const versions = streamVersions(undefined);
