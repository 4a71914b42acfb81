import { z } from 'zod';
import { notFound, ParleyError, unauthenticated } from '../../base/errors.js';
import { command, type Decision, request } from '../defineCommand.js';
import { event, type Sealing, type Topic } from '../defineEvent.js';
import { Id, Revision, type Time } from '../fields.js';
import { isInWindows, membersOf, windowsOf } from '../groups/groupState.js';
import type { Actor, UserId } from '../ids.js';
import { countCodePoints, NOTE_CODE_POINTS, REPORTED_MESSAGES, REPORTS_A_DAY } from '../limits.js';
import {
  isGroup,
  type ReportMark,
  type RoomState,
  roomOfMember,
  roomStream,
  userStream,
} from '../streams.js';

/** Reports of messages, rooms and users to the moderators, and what these decide. Both are in the reporter's stream. */

export const topic: Topic = 'administration';

const CATEGORIES = ['spam', 'harassment', 'violence', 'sexual', 'illegal', 'other'] as const;
export const Category = z.enum(CATEGORIES);

const DAY_MS = 24 * 60 * 60_000;
/** The longest time for which a report keeps the text of a message that is deleted meanwhile. */
export const EVIDENCE_MS = 30 * DAY_MS;
/** A decision looked its report up less than this time before. */
const DECISION_RACE_MS = 60 * 60_000;

/** The end of the evidence of a report that was recorded at this time, in milliseconds since 1970. */
export const evidenceEnd = (reportedAt: Time): number => Date.parse(reportedAt) + EVIDENCE_MS;

/** A note: 1 to 1,000 code points, not only white space, no lone surrogates. */
export const Note = z
  .string()
  .min(1, 'must not be empty')
  .check(({ value: text, issues }) => {
    const add = (message: string) => issues.push({ code: 'custom', message, input: text });
    if (countCodePoints(text) > NOTE_CODE_POINTS)
      add(`must be at most ${NOTE_CODE_POINTS.toLocaleString('en-US')} code points`);
    if (/\p{Surrogate}/u.test(text)) add('must not contain lone surrogates');
    if (/^\p{White_Space}+$/u.test(text)) add('must not be only white space');
  })
  .meta({ description: 'Not only white space; sealed.', maxLength: NOTE_CODE_POINTS });

/** A text of a message that a report keeps. */
const Evidence = z.strictObject({ seq: z.int().min(1), senderId: z.string() });

/** What moderators have decided. */
export const Verdict = z.strictObject({
  delete: z.array(z.string()).readonly().exactOptional(),
  suspend: z.literal(true).exactOptional(),
});
export type Verdict = z.infer<typeof Verdict>;

/** Names a report among all: its id is the reporter's choice. */
export const reportName = (reporter: UserId, reportId: string): string => `${reportId}/${reporter}`;

/** The seal of a report's note, which only the reporter's own key opens. */
export const reportNoteSealing = (reporter: UserId, reportId: string): Sealing => ({
  owner: reporter,
  context: `user:${reporter}|MessageReported|${reportId}|note`,
});

/** The seal of a decision's note. An operator has no key, so that the reporter's seals the operator's notes. */
export const verdictNoteSealing = (reporter: UserId, reportId: string, by: Actor): Sealing => ({
  owner: by === 'system' ? reporter : by,
  context: `user:${reporter}|ReportDecided|${reportId}|note`,
});

const reporterOf = ({ stream }: { readonly stream: string }): UserId => stream.slice('user:'.length);

const reportFields = {
  reportId: z.string(),
  roomId: z.string().exactOptional(),
  messageIds: z.array(z.string()).readonly().exactOptional(),
  /** Of these messages, in the same order. */
  seqs: z.array(z.int().min(1)).readonly().exactOptional(),
  /** The texts that were not deleted when they were reported. */
  evidence: z.array(Evidence).readonly().exactOptional(),
  /** The reported user. */
  userId: z.string().exactOptional(),
  category: Category,
  note: z.string().exactOptional(),
};

/** The marks that still count at this time: see `UserState`. */
const recent = (marks: readonly ReportMark[] | undefined, now: Time, ms: number): ReportMark[] =>
  (marks ?? []).filter(({ at }) => Date.parse(at) > Date.parse(now) - ms);

const nounFor = (messages: number): string => (messages === 1 ? 'message' : 'messages');

/** The keys of texts under an open report are not destroyed before the decision: see `erasure/heldTexts.ts`. */
export const MessageReported = event('MessageReported', userStream, {
  data: z.strictObject({ ...reportFields, note: z.string().nullable().exactOptional() }),
  sealed: [{ field: 'note', of: (made) => reportNoteSealing(reporterOf(made), made.data.reportId) }],
  evolve: (state, { data: { reportId }, recordedAt: at }) => ({
    ...state,
    reports: [...recent(state.reports, at, DAY_MS), { reportId, at }],
  }),
  line: ({ actor, data }, { who, quoted }) => {
    const { seqs = [] } = data;
    const messages = seqs.length > 0 ? `${nounFor(seqs.length)} ${seqs.join(', ')} of ` : '';
    const subjects = [
      data.roomId === undefined ? [] : `${messages}room ${data.roomId}`,
      data.userId === undefined ? [] : who(data.userId),
    ].flat();
    const note = data.note === undefined ? '' : `: ${quoted(data.note)}`;
    return `${who(actor)} reported ${subjects.join(' and ')} as ${data.category}, report ${data.reportId}${note}`;
  },
});

/** Ends a report. The messages are deleted, and the user is suspended, after it. */
export const ReportDecided = event('ReportDecided', userStream, {
  data: z.strictObject({
    reportId: z.string(),
    by: z.string(),
    decision: Verdict,
    note: z.string().nullable(),
  }),
  sealed: [
    {
      field: 'note',
      of: (made) => verdictNoteSealing(reporterOf(made), made.data.reportId, made.data.by),
    },
  ],
  evolve: (state, { data: { reportId }, recordedAt: at }) => ({
    ...state,
    decisions: [...recent(state.decisions, at, DECISION_RACE_MS), { reportId, at }],
  }),
  line: ({ data: { reportId, by, decision, note } }, { who, quoted }) => {
    const deleted = decision.delete?.length ?? 0;
    const what = [
      deleted > 0 ? `delete ${deleted} ${nounFor(deleted)}` : [],
      decision.suspend ? 'suspend the user' : [],
    ].flat();
    return `${who(by)} decided report ${reportId} (${what.join(', ') || 'do nothing'}): ${quoted(note)}`;
  },
});

export const report = request('report', {
  data: z
    .strictObject({
      reportId: Id,
      roomId: Id.exactOptional(),
      messageIds: z.array(Id).min(1).max(REPORTED_MESSAGES).exactOptional(),
      userId: Id.exactOptional(),
      category: Category,
      note: Note.exactOptional(),
    })
    .refine((d) => d.roomId !== undefined || d.userId !== undefined, {
      message: 'must be given, or userId',
      path: ['roomId'],
    })
    .refine((d) => d.messageIds === undefined || d.roomId !== undefined, {
      message: 'must name the room of the messages',
      path: ['roomId'],
    }),
  answer: z.strictObject({ revision: Revision }),
  note: 'Reports messages, a room or a user that I may see to the moderators. The texts stay as evidence until the decision, at most 30 days. At most 20 reports per day.',
});

/** A message as its room's writer finds it. */
interface FoundMessage {
  readonly seq: number;
  readonly senderId: UserId;
  readonly isDeleted: boolean;
}

/** Which messages of a room its member may see, also one who has left a group; refused for others. */
function visibleIn(
  state: RoomState,
  command: { readonly actor: UserId; readonly roomId: string },
): { readonly sees: (seq: number) => boolean } | { readonly refused: ParleyError } {
  const member = isGroup(state) ? membersOf(state).get(command.actor) : undefined;
  if (member) return { sees: (seq) => isInWindows(windowsOf(member), seq) };
  const found = roomOfMember(state, command);
  return 'refused' in found ? found : { sees: () => true };
}

/**
 * Finds messages that a member may see, in their order, and appends nothing. The room's writer answers, so that it is
 * known whether a deletion came before. `not_found` if the room or one of them is not there for the member.
 */
export const findMessages = command('find messages', roomStream, {
  fields: { actor: z.string(), roomId: z.string(), messageIds: z.array(z.string()).readonly() },
  actor: 'actor',
  streamId: ({ roomId }) => roomId,
  wants: ({ roomId, messageIds }) => ({ messages: messageIds.map((messageId) => ({ roomId, messageId })) }),
  decide(command, state, { message }): Decision<{ readonly messages: readonly FoundMessage[] }> {
    const isVisible = visibleIn(state, command);
    if ('refused' in isVisible) return isVisible;
    const { roomId, messageIds } = command;
    const messages: FoundMessage[] = [];
    for (const messageId of messageIds) {
      const one = message({ roomId, messageId });
      if (!one || !isVisible.sees(one.seq))
        return { refused: notFound(`room ${roomId} has no message ${messageId}`) };
      messages.push({ seq: one.seq, senderId: one.senderId, isDeleted: one.deleted !== undefined });
    }
    return { events: [], answer: { messages } };
  },
});

/**
 * Records a report of what the reporter may see. `isKnown`: the reporter has made a report of this id within a day, and
 * nothing was appended; compare the two. Whether an older one exists is looked up before.
 */
export const recordReport = command('record report', userStream, {
  fields: { ...reportFields, actor: z.string() },
  actor: 'actor',
  streamId: ({ actor }) => actor,
  wants: ({ actor, userId, note }) => ({
    ...(userId === undefined ? {} : { users: [userId] }),
    ...(note === undefined ? {} : { ownKeys: [actor] }),
  }),
  text: 'note',
  decide({ kind: _, actor, ...made }, state, { now, exists }): Decision<{ readonly isKnown: boolean }> {
    if (!state.registered || state.erased) return { refused: unauthenticated('this user has been erased') };
    const { reportId, userId } = made;
    const today = recent(state.reports, now, DAY_MS);
    if (today.some((one) => one.reportId === reportId)) return { events: [], answer: { isKnown: true } };
    if (userId !== undefined && !exists(userId)) return { refused: notFound(`there is no user ${userId}`) };
    const [first] = today;
    if (first && today.length >= REPORTS_A_DAY) {
      const retryAfterMs = Math.max(1000, Date.parse(first.at) + DAY_MS - Date.parse(now));
      const message = `you have made ${REPORTS_A_DAY} reports within a day`;
      return { refused: new ParleyError('rate_limited', message, { retryAfterMs }) };
    }
    return { events: [MessageReported.of(actor, made)], answer: { isKnown: false } };
  },
});

/**
 * Records what was decided of a report that is open. `isKnown`: it was decided within the last hour, and nothing was
 * appended; compare the two. Whether it was decided before is looked up before.
 */
export const recordDecision = command('record decision', userStream, {
  fields: {
    reporter: z.string(),
    reportId: z.string(),
    by: z.string(),
    decision: Verdict,
    note: z.string().nullable(),
  },
  actor: 'by',
  streamId: ({ reporter }) => reporter,
  wants: ({ reporter, reportId, by, note }) =>
    note === null ? {} : { ownKeys: [verdictNoteSealing(reporter, reportId, by).owner] },
  text: 'note',
  decide(
    { reporter, reportId, by, decision, note },
    state,
    { now },
  ): Decision<{ readonly isKnown: boolean }> {
    const isKnown = recent(state.decisions, now, DECISION_RACE_MS).some((one) => one.reportId === reportId);
    if (isKnown) return { events: [], answer: { isKnown } };
    const decided = ReportDecided.of(reporter, { reportId, by, decision, note });
    return { events: [decided], answer: { isKnown } };
  },
});
