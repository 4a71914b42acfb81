import { join } from 'node:path';
import { LogEndsEarly } from '../../log/checkLog.js';
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
import type { Checkpoint, Model, ModelWrite, RowStore } from '../../projections/store/rowStore.js';
import { openSqliteRows } from '../../projections/store/sqliteRows.js';
import type { AuditedLog, StoredRows } from '../storedRows.js';
import { type ComparedModel, compareInserted, projectionOf, streamVersions } from './comparedModels.js';
import { type Mismatch, MismatchError, toMismatch } from './report.js';
import { checkChain, type TrustedHead } from './verifyChain.js';

/** Events of a section, about: so many are in memory at once, and of so many the rows that change are written once. */
export const SECTION_EVENTS = 4096;

/** Commits of one partition that one thread checks in one go: `after` exclusive, `upTo` inclusive. */
export interface Section {
  readonly partition: number;
  readonly after: number;
  readonly upTo: number;
}

/**
 * What is behind `head` in sections of about so many events, one at least. But for the first, each begins behind a commit
 * that carries the frontier, so that what was before it need not be read.
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
 * The rows that events make of those that are in a store. Others may fold into the same store, each in its turn: nothing
 * is remembered from one call to the next. Events that were folded before change nothing.
 */
async function foldFresh(
  store: RowStore,
  projection: AnyProjection,
  events: readonly Folded[],
): Promise<ModelWrite> {
  const touching = selectTouching(projection, events);
  const rows: Rows = new Map();
  if (touching.length > 0) {
    // A table's rows are of its model; the projection alone looks into them.
    const model = projection.model as Model<unknown>;
    const known = await store.get(model, [...collectKeys(touching)]);
    foldTouching(projection, touching, (key) => known.get(key), rows);
  }
  return { model: projection.model, rows: [...rows.values()], checkpoints: [] };
}

/** Pages of a file that are kept at hand: a check runs beside a server, which has more use for memory. */
const CACHE_KIB = 8192;

/** A section, and what is known of it beforehand. */
export interface SectionToCheck extends Section {
  /** What is before it, if that has been checked; else the log is taken at its word. */
  readonly from?: Head;
  /** Of its partition. */
  readonly trustedHeads: readonly TrustedHead[];
  /** The read models that are compared. */
  readonly comparedModels: readonly ComparedModel[];
  /** Nothing is folded or compared any more, for something is wrong there. */
  readonly skipsRows: boolean;
}

/** What a section by itself is found to be. */
export interface SectionResult {
  /** What it takes to be before it; undefined: that cannot be read. */
  readonly from?: Head;
  /** As far as its commits follow each other. */
  readonly head: Head;
  /** What is wrong with its commits. */
  readonly mismatch?: Mismatch;
  /** What is wrong with rows that it made. */
  readonly rowMismatch?: Mismatch;
  /** By read model whose rows are written once: how many it made. */
  readonly made: Readonly<Record<string, number>>;
}

/** What sections are checked with. */
export interface SectionParts {
  readonly log: AuditedLog;
  readonly stored: StoredRows;
}

/** The file into which a partition is folded anew. */
export const scratchFile = (directory: string, partition: number): string =>
  join(directory, `folded-${partition}.db`);

/** Opens that file, with all tables. */
export async function openScratch(
  directory: string,
  partition: number,
  comparedModels: readonly ComparedModel[],
): Promise<RowStore> {
  const scratch = openSqliteRows(scratchFile(directory, partition), CACHE_KIB);
  for (const { model } of [versions, ...changingModels(comparedModels).map(projectionOf)])
    await scratch.prepare(model);
  return scratch;
}

/** The read models whose rows events change. */
const changingModels = (comparedModels: readonly ComparedModel[]): ComparedModel[] =>
  comparedModels.filter((comparedModel) => !projectionOf(comparedModel).model.insertOnly);

/**
 * Checks what is true of a section whatever came before it: that its commits follow each other, and the rows that are
 * written once. `events`: what is to be folded in its turn.
 */
export async function checkSection(
  { log, stored }: SectionParts,
  section: SectionToCheck,
): Promise<{ found: SectionResult; events: SectionEvents }> {
  const { partition, after, upTo, trustedHeads, comparedModels, skipsRows } = section;
  let from: Head;
  try {
    from = section.from ?? (await claimedHead(log, partition, after));
  } catch (error) {
    const mismatch = toMismatch(error, partition, after);
    return { found: { head: emptyHead(partition), mismatch, made: {} }, events: NO_EVENTS };
  }
  const { head, commits, mismatch } = await checkChain(log, from, upTo, trustedHeads);
  const made: Record<string, number> = {};
  const found = { from, head, made };
  if (mismatch) return { found: { ...found, mismatch }, events: NO_EVENTS };
  if (skipsRows) return { found, events: NO_EVENTS };
  try {
    const events = new SectionEvents(partition, commits.map(decodeCommit));
    for (const comparedModel of comparedModels)
      if (projectionOf(comparedModel).model.insertOnly)
        made[comparedModel.name] = await compareInserted(stored, comparedModel, events.heldBy(comparedModel));
    return { found, events };
  } catch (error) {
    return { found: { ...found, rowMismatch: toMismatch(error, partition, after) }, events: NO_EVENTS };
  }
}

/** The head that a commit itself says to be after it. */
async function claimedHead(log: AuditedLog, partition: number, position: number): Promise<Head> {
  if (position === 0) return emptyHead(partition);
  const [commit] = await log.read(partition, position - 1, 1);
  if (!commit) throw new LogEndsEarly(partition, position - 1);
  return headFrom(partition, [commit]);
}

/**
 * Folds a section behind those before it: each read model exactly as far as it is stored, and the versions of streams
 * to the end. Answers what is wrong, and has then written nothing.
 */
export async function foldSection(
  scratch: RowStore,
  { partition, after, comparedModels }: SectionToCheck,
  { partitions }: Pick<AuditedLog, 'partitions'>,
  events: SectionEvents,
): Promise<Mismatch | undefined> {
  try {
    const writes = [await foldFresh(scratch, streamVersions(partitions), events.all)];
    for (const comparedModel of changingModels(comparedModels))
      writes.push(await foldFresh(scratch, projectionOf(comparedModel), events.heldBy(comparedModel)));
    await scratch.write(writes.filter(({ rows }) => rows.length > 0));
    return undefined;
  } catch (error) {
    return toMismatch(error, partition, after);
  }
}

/** The events of a section, decoded. */
export class SectionEvents {
  readonly all: readonly Folded[];

  constructor(
    private readonly partition: number,
    private readonly frames: readonly DecodedCommit[],
  ) {
    this.all = eventsIn(frames);
  }

  /** Those that a read model holds. Throws a `MismatchError` if it says of itself to hold another number. */
  heldBy({ name, checkpoints }: ComparedModel): readonly Folded[] {
    const { partition, frames } = this;
    const { position, size } = checkpoints[partition] ?? { position: 0, size: 0 };
    const last = frames.findLast((frame) => frame.position <= position);
    if (last?.position === position && last.size !== size) {
      const what = `the read model ${name} holds partition ${partition} up to position ${position} as ${size} events: there are ${last.size}`;
      throw new MismatchError({ what, partition, position });
    }
    if (last === frames.at(-1)) return this.all;
    return eventsIn(frames.filter((frame) => frame.position <= position));
  }
}

// Many: pushed one by one they take a fraction of what `flatMap` takes.
function eventsIn(frames: readonly DecodedCommit[]): Folded[] {
  const events: Folded[] = [];
  for (const frame of frames) for (const event of frame.events) events.push(event);
  return events;
}

const NO_EVENTS = new SectionEvents(0, []);
const versions = streamVersions(undefined);
