import type { z } from 'zod';
import type { Recorded } from '../../domain/events.js';
import type { Sealed, Time } from '../../domain/fields.js';
import { type Actor, parseStream, type RoomId, type UserId } from '../../domain/ids.js';
import { type Category, reportName, type Verdict } from '../../domain/moderation/reports.js';
import type { Projection } from '../projection.js';
import type { Model } from '../store/rowStore.js';

/** A decision, with its note sealed. */
export interface StoredDecision {
  readonly by: Actor;
  readonly at: Time;
  readonly decision: Verdict;
  readonly note: Sealed | null;
}

/** A report, with its note sealed. */
export interface ReportRow {
  readonly reportId: string;
  readonly reporter: UserId;
  readonly reportedAt: Time;
  readonly roomId?: RoomId;
  readonly messageIds?: readonly string[];
  /** Of these messages, in the same order. */
  readonly seqs?: readonly number[];
  /** The texts that were not deleted when they were reported. */
  readonly evidence?: readonly { readonly seq: number; readonly senderId: UserId }[];
  /** The reported user. */
  readonly userId?: UserId;
  readonly category: z.output<typeof Category>;
  readonly note?: Sealed | null;
  readonly decided?: StoredDecision;
}

export type ReportState = 'open' | 'closed';

export const stateOf = ({ decided }: Pick<ReportRow, 'decided'>): ReportState =>
  decided ? 'closed' : 'open';

/** Reports by `reportName`, with indexes of open and closed ones and of each reporter's. */
export const reportsModel: Model<ReportRow> = {
  name: 'reports',
  version: 1,
  indexes: {
    state: ({ value }) => ({ terms: [stateOf(value)], sort: Date.parse(value.reportedAt) }),
    reporter: ({ value }) => ({ terms: [value.reporter], sort: Date.parse(value.reportedAt) }),
  },
};

/** The user in whose stream an event is. */
const userOf = ({ stream }: Recorded): UserId => parseStream(stream).id;

/** Folds reports. The first decision of a report counts. */
export const reportsProjection: Projection<ReportRow> = {
  model: reportsModel,
  keys: (event) =>
    event.type === 'MessageReported' || event.type === 'ReportDecided'
      ? [reportName(userOf(event), event.data.reportId)]
      : [],
  evolve(value, event) {
    if (event.type === 'MessageReported')
      return value ?? { ...event.data, reporter: userOf(event), reportedAt: event.recordedAt };
    if (event.type !== 'ReportDecided' || !value || value.decided) return value ?? null;
    const { by, decision, note } = event.data;
    return { ...value, decided: { by, at: event.recordedAt, decision, note } };
  },
};
