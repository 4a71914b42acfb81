import type { Time } from '../../domain/fields.js';
import { type RoomId, streamOf, type UserId, type WriterInRoom } from '../../domain/ids.js';
import { evidenceEnd } from '../../domain/moderation/reports.js';
import { partitionOf } from '../../log/log.js';
import { roomKeysId } from '../../vault/textKeys.js';
import type { HoldRow, HoldTable } from '../../vault/vaultStore.js';
import { type Mismatch, MismatchError } from './report.js';

/** The texts that reports keep although they are deleted, compared with the reports in the log. */

/** What the log says of a report. An event behind the end of a check may say only a part. */
export interface ReportUse {
  readonly reportedAt?: Time;
  /** The offset of the report. */
  readonly offset?: number;
  readonly roomId?: RoomId;
  readonly evidence?: readonly { readonly seq: number; readonly senderId: UserId }[];
  /** The offset of the decision. */
  readonly decidedAt?: number;
}

/** What the log says of a writer's texts in a room, or of a report: see `KeyUse`. */
interface HoldUse {
  /** Deleted messages: `seq`, and the offset of the event. */
  readonly deleted: readonly (readonly [seq: number, offset: number])[];
  readonly report?: ReportUse;
}

const PREFIX = 'report/';
/** The key of a report's use; `report` as `reportName` gives it. */
export const reportUseKey = (report: string): string => `${PREFIX}${report}`;
export const isReportKey = (key: string): boolean => key.startsWith(PREFIX);

/** The deleted messages of one writer in a room whose keys exist. */
interface KeptTexts {
  readonly room: WriterInRoom;
  readonly partition: number;
  readonly kept: HoldUse['deleted'];
}

/** Throws a `MismatchError` unless the vault notes of each text that a report keeps it and that it is deleted. */
export async function requireHeld(holds: HoldTable, { room, partition, kept }: KeptTexts): Promise<void> {
  if (kept.length === 0) return;
  const found = await holds.findHoldsIn(
    room.roomId,
    kept.map(([seq]) => seq),
  );
  const held = new Set(found.filter(({ isDeleted }) => isDeleted).map(({ seq }) => seq));
  const wrong = kept.find(([seq]) => !held.has(seq));
  if (!wrong) return;
  const what = `the key of message ${wrong[0]} of user ${room.owner} in room ${room.roomId} exists, but the message was deleted`;
  throw new MismatchError({ what, partition, offset: wrong[1] });
}

interface ReportFacts {
  readonly partition: number;
  /** The number of events of the report's partition that had been followed when the check began. */
  readonly destroyed: number;
  /** The use by later events. */
  readonly late: HoldUse | undefined;
}

/** Throws a `MismatchError` if the vault does not keep what an open report names. */
export async function compareReport(
  holds: HoldTable,
  key: string,
  { report: use = {} }: HoldUse,
  { partition, destroyed, late }: ReportFacts,
): Promise<void> {
  const { reportedAt, offset = 0, evidence = [], decidedAt = late?.report?.decidedAt } = use;
  if (reportedAt === undefined || evidence.length === 0) return;
  if (decidedAt !== undefined || offset >= destroyed || evidenceEnd(reportedAt) <= Date.now()) return;
  const kept = new Set((await holds.findHoldsOf(key.slice(PREFIX.length))).map(({ seq }) => seq));
  const lost = evidence.find(({ seq }) => !kept.has(seq));
  if (!lost) return;
  const what = `the vault does not keep message ${lost.seq} for report ${key.slice(PREFIX.length)}, which is open`;
  throw new MismatchError({ what, partition, offset });
}

/** What holds are compared with. */
export interface HoldFacts {
  readonly partitions: number;
  /** By partition, the number of events that had been followed when the check began. */
  readonly destroyed: readonly number[];
  /** A use up to the end of the check. */
  readonly useOf: (partition: number, key: string) => Promise<HoldUse | undefined>;
  /** Uses by events behind the end of the check. */
  readonly behind: (partition: number) => Promise<ReadonlyMap<string, HoldUse>>;
}

const HOLDS_PER_READ = 256;

/** Compares every hold with its report and its message. A running server may change them, so a mismatch is looked at twice. */
export async function checkHolds(holds: HoldTable, facts: HoldFacts): Promise<Mismatch | undefined> {
  for (let after = ''; ; ) {
    const page = await holds.pageHolds(after, HOLDS_PER_READ);
    for (const hold of page) {
      if ((await compareHold(hold, facts, async () => new Map())) === undefined) continue;
      const [again] = (await holds.findHoldsOf(hold.report)).filter(
        ({ roomId, seq }) => roomId === hold.roomId && seq === hold.seq,
      );
      const what = again && (await compareHold(again, facts, facts.behind));
      if (what !== undefined) return { what, partition: hold.partition };
    }
    const last = page.at(-1);
    if (!last) return undefined;
    after = `${last.roomId}/${last.seq}/${last.report}`;
  }
}

/** What is wrong with a hold; undefined: nothing. */
async function compareHold(
  { report, owner, roomId, seq, partition, until, isDeleted }: HoldRow,
  { partitions, destroyed, useOf }: HoldFacts,
  behind: HoldFacts['behind'],
): Promise<string | undefined> {
  const hold = `the vault keeps message ${seq} of room ${roomId} for report ${report}`;
  const [, reporter = ''] = report.split('/');
  const reportPartition = partitionOf(streamOf('user', reporter), partitions);
  const key = reportUseKey(report);
  const [known, late] = [await useOf(reportPartition, key), (await behind(reportPartition)).get(key)];
  const use: ReportUse = { ...late?.report, ...known?.report };
  const decidedAt = use.decidedAt ?? late?.report?.decidedAt;
  // It ends with the acceptance of a log that lost the report, and is removed within a second of a start.
  if (use.reportedAt === undefined) return until === 0 ? undefined : `${hold}, which the log does not have`;
  const isNamed = use.evidence?.some((one) => one.seq === seq && one.senderId === owner) ?? false;
  if (use.roomId !== roomId || !isNamed) return `${hold}, which does not name it`;
  if (partition !== partitionOf(streamOf('room', roomId), partitions))
    return `${hold} in partition ${partition}, to which the room does not belong`;
  const end = evidenceEnd(use.reportedAt);
  if (until !== end && until !== 0) return `${hold} until another time than 30 days after the report`;
  if (until === 0 && decidedAt === undefined) return `${hold} no more, but the report is open`;
  const isFollowed =
    (known?.report?.decidedAt ?? Number.POSITIVE_INFINITY) < (destroyed[reportPartition] ?? 0);
  if (until !== 0 && isFollowed) return `${hold}, which is decided`;
  if (!isDeleted) return undefined;
  const roomKey = roomKeysId({ owner, roomId });
  const texts = [await useOf(partition, roomKey), (await behind(partition)).get(roomKey)];
  const isGone = texts.some((each) => each?.deleted.some(([one]) => one === seq));
  return isGone ? undefined : `${hold} as deleted, but no event deleted it`;
}
