import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { openEvents } from '../audit/events/transcript.js';
import { badRequest, conflict, type ErrorCode, notFound, ParleyError } from '../base/errors.js';
import { decodeLeaf, leafTest } from '../domain/codec.js';
import type { CommandRouter, Moment } from '../domain/commands.js';
import { type Recorded, sealedTextsOf } from '../domain/events.js';
import type { Time } from '../domain/fields.js';
import { type Actor, isGroupId, parseStream, type RoomId, streamOf, type UserId } from '../domain/ids.js';
import { evidenceEnd, type Verdict } from '../domain/moderation/reports.js';
import { refuseForRoles } from '../domain/roles.js';
import type { Chat, Message, User } from '../domain/userMessageChat.js';
import { type EventLog, partitionOf } from '../log/log.js';
import type { ReportState } from '../projections/models/reportRows.js';
import { indexedCommitsBackward } from '../projections/models/streamIndex.js';
import { type Queries, viewOf } from '../projections/queries.js';
import type { Report, Reports } from '../projections/reportQueries.js';
import type { RowReader } from '../projections/store/rowStore.js';
import { roomKeysId } from '../vault/textKeys.js';
import type { KeyStore } from '../vault/vault.js';
import type { DeletedTexts } from './deletedTexts.js';

/** Messages before and after a reported one that moderators see. */
const CONTEXT_MESSAGES = 5;

/** What is looked up of somebody who is to be suspended. */
type DecidedAbout = Pick<Queries, 'users' | 'roles'>;

export interface ModerationDeps {
  readonly reads: {
    readonly reports: Pick<Reports, 'byId' | 'page'> & Pick<Reports, 'find'>;
    readonly queries: Pick<Queries, 'messages' | 'messagesAt'> &
      Pick<Queries, 'groups'> &
      Pick<Queries, 'chat' | 'edits'> &
      DecidedAbout;
    readonly rows: RowReader;
  };
  readonly log: Pick<EventLog, 'partitions' | 'tail' | 'read'>;
  readonly keys: Pick<KeyStore, 'getKeys' | 'fetchHeldKeys'>;
  readonly commands: CommandRouter;
  readonly effects: {
    readonly deletedTexts: Pick<DeletedTexts, 'waitFor'>;
    /** See `UserAdministration.suspend`. */
    readonly suspend: (by: Actor, userId: UserId, reason: string, decidedAt: Time) => Promise<unknown>;
  };
}

/** The room of a report, as its reporter sees it. */
export interface ReportedRoom {
  readonly roomId: RoomId;
  readonly roomType: Chat['roomType'];
  /** Of a group; null when its key is destroyed. */
  readonly name?: string | null;
  /** Of a group, the number of its members. */
  readonly members?: number;
  /** Of a private chat. */
  readonly memberIds?: readonly UserId[];
}

/** A report as moderators see it, with its users, and the messages in order. */
export interface ReportView {
  readonly report: Report;
  /** Absent if the reporter sees no room any more. */
  readonly room?: ReportedRoom;
  readonly users: readonly User[];
  readonly messages: readonly Message[];
  /** The texts that reported messages had at the time of the report, of those that were edited since. */
  readonly editedSince: readonly { readonly messageId: string; readonly message: string | null }[];
}

function reportedRoom({ roomId, roomType, name, members, participants }: Chat): ReportedRoom {
  if (roomType === 'PRIVATE')
    return { roomId, roomType, memberIds: participants.map(({ userId }) => userId) };
  return { roomId, roomType, name: name ?? null, ...(members === undefined ? {} : { members }) };
}

/** What is decided of a report; `by` is a moderator, or `system` for an operator. */
export interface ReportDecision {
  readonly by: Actor;
  readonly decision: Verdict;
  readonly note: string;
}

/** Shows reports to moderators, and carries out what they decide. Each call sees all that the log has. */
export class Moderation {
  constructor(private readonly deps: ModerationDeps) {}

  /** See `Reports.page`. */
  async list(state: ReportState, page: { limit: number; next?: string }) {
    return this.deps.reads.reports.page(state, page, await this.#present());
  }

  /** The first reported message of each report, as it is now; undefined for a report that names no message. */
  firstMessages(reports: readonly Report[]): Promise<(Message | undefined)[]> {
    const { queries } = this.deps.reads;
    const firstOf = async (report: Report): Promise<Message | undefined> => {
      const { roomId, seqs: [seq] = [] } = report;
      if (roomId === undefined || seq === undefined) return undefined;
      const view = await this.#viewOf(report, roomId, []);
      const { messages } = await queries.messages(roomId, { after: seq - 1, limit: 1 }, [], view);
      return messages.find((message) => message.seq === seq);
    };
    return Promise.all(reports.map(firstOf));
  }

  /** The report with the reported messages, and the 5 before and after each, as far as the reporter could see them. */
  async view(reportId: string): Promise<ReportView> {
    const at = await this.#present();
    const report = await this.#find(reportId, at);
    const { queries } = this.deps.reads;
    const { roomId, reporter } = report;
    const messages = await this.#messagesAround(report, at);
    const chat = roomId === undefined ? undefined : await queries.chat(roomId, reporter, at);
    const room = chat && reportedRoom(chat);
    const senders = messages.map(({ senderId }) => senderId);
    const ids = [reporter, report.userId ?? [], senders, room?.memberIds ?? []].flat();
    const users = [...(await queries.users([...new Set(ids)], at)).values()];
    const editedSince = await this.#textsBeforeEdits(report, messages, at);
    return { report, ...(room ? { room } : {}), users, messages, editedSince };
  }

  /** The texts, at the time of the report, of the reported messages that were edited since. */
  async #textsBeforeEdits(
    { messageIds = [], reportedAt }: Report,
    messages: readonly Message[],
    at: readonly Moment[],
  ): Promise<ReportView['editedSince']> {
    const edited = messages.filter(
      ({ messageId, editedAt, deleted }) =>
        messageIds.includes(messageId) && editedAt !== undefined && editedAt > reportedAt && !deleted,
    );
    return Promise.all(
      edited.map(async ({ roomId, messageId, seq }) => {
        const texts = await this.deps.reads.queries.edits(roomId, seq, at);
        return { messageId, message: texts.findLast((text) => text.at <= reportedAt)?.message ?? null };
      }),
    );
  }

  /**
   * Records the decision, deletes the messages, suspends the user, and resolves when the keys of the messages and those
   * that the report kept are destroyed. The decision is recorded first. Whatever ends this in between, the same decision
   * again finishes it; another one is a `conflict`. `forbidden`, and nothing is recorded, if a user decides to suspend
   * somebody who holds a role.
   */
  async decide(reportId: string, { by, decision, note }: ReportDecision): Promise<void> {
    const at = await this.#present();
    const report = await this.#find(reportId, at);
    const wrong = decision.delete?.findIndex((id) => !report.messageIds?.includes(id)) ?? -1;
    if (wrong >= 0) {
      const message = 'must be a message of the report';
      throw badRequest(`delete ${message}`, [{ path: `delete.${wrong}`, message }]);
    }
    const suspended = decision.suspend ? await this.#findSuspended(report, at) : undefined;
    if (suspended !== undefined && !report.decided) await this.#checkSuspension(by, suspended, at);
    const made = report.decided ? undefined : await this.#record(report, { by, decision, note });
    const { decided = report.decided } = made ? await this.#find(reportId, [made]) : report;
    if (!decided) throw new Error(`the decision of report ${reportId} is not in the read model`);
    const isSame = decided.note === null || decided.note === note;
    if (!isSame || !isDeepStrictEqual(decided.decision, decision))
      throw conflict(`report ${reportId} was decided otherwise`);
    const { deletedTexts } = this.deps.effects;
    const deleted = await this.#deleteReported(report, decided.by, decision.delete ?? []);
    for (const moment of deleted) await deletedTexts.waitFor(moment);
    // Who is erased since has no key to seal the reason with, nor to open the note.
    const decider = decided.note === null ? by : decided.by;
    if (suspended !== undefined)
      await passNotFound(() => this.deps.effects.suspend(decider, suspended, note, decided.at));
    const partition = partitionOf(streamOf('user', report.reporter), this.deps.log.partitions);
    for (const moment of made ? [made] : at.filter((one) => one.partition === partition))
      await deletedTexts.waitFor(moment);
  }

  /**
   * Carries out a recorded decision as `decide` does, if that was cut off, but waits for no key. Rejects only with errors
   * that pass. What is refused otherwise was overtaken, as by an erasure.
   */
  async finish({ stream, data: { reportId, by, decision } }: Recorded<'ReportDecided'>): Promise<void> {
    if (!decision.delete?.length && !decision.suspend) return;
    const at = await this.#present();
    const report = await this.deps.reads.reports.find(parseStream(stream).id, reportId, at);
    // Of two decisions of one report only the first counts.
    if (!report?.decided || !isDeepStrictEqual(report.decided.decision, decision)) return;
    await passRefusal(() => this.#deleteReported(report, by, decision.delete ?? []));
    if (!decision.suspend) return;
    // Who is erased since has no key to seal the reason with.
    const { note, at: decidedAt } = report.decided;
    const [decider, reason] = note === null ? ['system', `report ${reportId}`] : [by, note];
    await passRefusal(async () => {
      const userId = await this.#findSuspended(report, at);
      await this.deps.effects.suspend(decider, userId, reason, decidedAt);
    });
  }

  /** Resolves with the moments of the deletions. */
  async #deleteReported(
    { roomId }: Report,
    by: Actor,
    messageIds: readonly string[],
  ): Promise<readonly Moment[]> {
    const moments: Moment[] = [];
    if (roomId === undefined) return moments;
    for (const messageId of messageIds) {
      const command = { kind: 'delete reported message', roomId, messageId, by } as const;
      const { moment } = await this.deps.commands.execute<'delete reported message'>(command, randomUUID());
      moments.push(moment);
    }
    return moments;
  }

  /** Whom a suspension means: the reported user, else the one sender of all reported messages. */
  async #findSuspended({ userId, roomId, seqs = [] }: Report, at: readonly Moment[]): Promise<UserId> {
    if (userId !== undefined) return userId;
    const messages = roomId === undefined ? [] : await this.deps.reads.queries.messagesAt(roomId, seqs, at);
    const [sender, ...others] = new Set(messages.map(({ senderId }) => senderId));
    if (sender !== undefined && others.length === 0) return sender;
    const message = 'needs a report that names a user, or whose messages have one sender';
    throw badRequest(`suspend ${message}`, [{ path: 'suspend', message }]);
  }

  /** Refuses before anything is recorded what the suspension would refuse after it. */
  async #checkSuspension(by: Actor, userId: UserId, at: readonly Moment[]): Promise<void> {
    const { queries } = this.deps.reads;
    const [users, roles] = await Promise.all([queries.users([userId], at), queries.roles([userId], at)]);
    const user = users.get(userId);
    if (!user || user.erased) throw notFound(`user ${userId} is erased`);
    const refusal = refuseForRoles({ by }, { roles: roles.get(userId) ?? [] });
    if (refusal) throw refusal.refused;
  }

  /** The moment at which the decision, or an earlier one, is recorded. */
  async #record({ reporter, reportId }: Report, { by, decision, note }: ReportDecision): Promise<Moment> {
    // An operator's note needs the reporter's key.
    const isLost =
      by === 'system' && (await this.deps.keys.getKeys([reporter])).get(reporter) === 'destroyed';
    const about = { reporter, reportId, by, decision, note: isLost ? null : note };
    const command = { kind: 'record decision', ...about } as const;
    return (await this.deps.commands.execute<'record decision'>(command, randomUUID())).moment;
  }

  async #find(reportId: string, at: readonly Moment[]): Promise<Report> {
    const found = await this.deps.reads.reports.byId(reportId, at);
    if (!found) throw notFound(`there is no report ${reportId}`);
    return found;
  }

  #present(): Promise<Moment[]> {
    const { log } = this.deps;
    const sizeOf = async (partition: number): Promise<Moment> => ({
      partition,
      size: (await log.tail(partition))?.size ?? 0,
    });
    return Promise.all(Array.from({ length: log.partitions }, (_, partition) => sizeOf(partition)));
  }

  /** The part of the room that the reporter could see. */
  async #viewOf({ reporter }: Report, roomId: RoomId, at: readonly Moment[]) {
    if (!isGroupId(roomId)) return {};
    const membership = await this.deps.reads.queries.groups.membership(roomId, reporter, at);
    return viewOf(membership ?? { isMember: false, periods: [] });
  }

  async #messagesAround(report: Report, at: readonly Moment[]): Promise<Message[]> {
    const { roomId, seqs = [] } = report;
    if (roomId === undefined) return [];
    const { queries } = this.deps.reads;
    const view = await this.#viewOf(report, roomId, at);
    const found = new Map<number, Message>();
    for (const seq of seqs) {
      const first = Math.max(0, seq - CONTEXT_MESSAGES - 1);
      const page = { after: first, limit: seq + CONTEXT_MESSAGES - first };
      const { messages } = await queries.messages(roomId, page, at, view);
      for (const message of messages)
        if (message.seq <= seq + CONTEXT_MESSAGES) found.set(message.seq, message);
    }
    const shown = [...found.values()].sort((a, b) => a.seq - b.seq);
    const isKept = !report.decided && evidenceEnd(report.reportedAt) > Date.now();
    const kept = new Set(isKept ? report.evidence?.map(({ seq }) => seq) : []);
    return Promise.all(
      shown.map(async (message) =>
        message.deleted && kept.has(message.seq)
          ? { ...message, message: await this.#keptText(roomId, message) }
          : message,
      ),
    );
  }

  /**
   * The text that a deleted message had last; null if its key is destroyed. Looks for it in the log from the end of the
   * room on, which takes time in proportion to what was said since.
   */
  async #keptText(roomId: RoomId, { messageId, senderId }: Message): Promise<string | null> {
    const { log, reads, keys } = this.deps;
    const stream = streamOf('room', roomId);
    const partition = partitionOf(stream, log.partitions);
    const isOfRoom = leafTest({ stream });
    const upTo = (await log.tail(partition))?.position ?? 0;
    const range = { partition, stream, after: 0, upTo };
    const room = { owner: senderId, roomId };
    for await (const { firstOffset, leaves } of indexedCommitsBackward(log, reads.rows, range))
      for (const [i, leaf] of [...leaves.entries()].reverse()) {
        if (!isOfRoom(leaf) || !leaf.includes(messageId)) continue;
        const event = decodeLeaf(leaf, partition, firstOffset + i);
        const isText = 'messageId' in event.data && event.data.messageId === messageId;
        if (!isText || !sealedTextsOf(event).some(({ field }) => field === 'text')) continue;
        const held = await keys.fetchHeldKeys(room);
        const getRoomKeys = async () => new Map([[roomKeysId(room), held]]);
        const [open] = await openEvents({ getKeys: keys.getKeys, getRoomKeys }, [event]);
        return (open?.data as { readonly text: string | null } | undefined)?.text ?? null; // It seals a text.
      }
    return null;
  }
}

/** Does work that is no longer needed if it is refused with one of these codes. */
async function passCodes(codes: readonly ErrorCode[], work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof ParleyError && codes.includes(error.code))) throw error;
  }
}

/** The user was erased after the decision. */
const passNotFound = (work: () => Promise<unknown>) => passCodes(['not_found'], work);

/** Refused for good; the other errors pass, so that it is to be repeated. */
const passRefusal = (work: () => Promise<unknown>) =>
  passCodes(['bad_request', 'unauthenticated', 'forbidden', 'not_found', 'conflict'], work);
