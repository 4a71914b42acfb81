import { conflict, type ParleyError } from '../base/errors.js';
import type { Answer, CommandKind, CommandOf, Moment } from '../domain/commands.js';
import type { RequestAnswer, RequestData } from '../domain/contract.js';
import { streamOf, type UserId } from '../domain/ids.js';
import { partitionOf } from '../log/log.js';
import { hasBody, type Report, type ReportBody, type Reports } from '../projections/reportQueries.js';
import type { Connection } from './connection.js';
import type { Cursors, Revisions } from './cursor.js';

/** The earlier reports, and the texts that reports keep. */
export interface ReportDirectory {
  readonly found: Pick<Reports, 'find' | 'byId'>;
  /** Resolves when the texts of all reports before this moment are kept. */
  readonly whenKept: (moment: Moment) => Promise<void>;
}

/** Runs commands of connections: see `CommandRunner`. */
interface Runner {
  readonly cursors: Pick<Cursors, 'revision'>;
  run<K extends CommandKind>(connection: Connection, command: CommandOf<K>): Promise<Answer<K>>;
}

interface ReportingDeps {
  readonly commands: Runner;
  readonly revisions: Revisions;
  readonly reports: ReportDirectory;
}

const sameId = (): ParleyError => conflict('a report of this id exists with another body');

/** Answers a repeat: throws `conflict` unless the body is the same. */
function requireSame(known: Report, body: ReportBody): void {
  if (!hasBody(known, body)) throw sameId();
}

/**
 * The handler of `report`. The messages are found by their room's writer, and the report is recorded in the reporter's
 * stream. It is answered when its texts are kept: a deletion after the answer leaves them to the moderators.
 */
export function reportHandler({ commands, revisions, reports }: ReportingDeps) {
  /** The moment at which the report is known already, with this body; undefined if it is not known. */
  async function findKnown(me: UserId, reportId: string, body: ReportBody): Promise<Moment | undefined> {
    const at = await revisions.present();
    const known = await reports.found.find(me, reportId, at);
    if (known) {
      requireSame(known, body);
      return at[partitionOf(streamOf('user', me), at.length)];
    }
    // Another reporter's.
    if (await reports.found.byId(reportId, at)) throw sameId();
    return undefined;
  }

  async function record(
    connection: Connection,
    me: UserId,
    reportId: string,
    body: ReportBody,
  ): Promise<Moment> {
    const subjects = await findSubjects(commands, connection, me, body);
    const { isKnown, moment } = await commands.run(connection, {
      ...{ kind: 'record report', actor: me, reportId, ...body, ...subjects },
    });
    if (!isKnown) return moment;
    const known = await reports.found.find(me, reportId, [moment]);
    if (!known) throw new Error(`report ${reportId} is in the log but not in the read model`);
    requireSame(known, body);
    return moment;
  }

  return async (
    connection: Connection,
    me: UserId,
    { reportId, messageIds, ...rest }: RequestData<'report'>,
  ): Promise<RequestAnswer<'report'>> => {
    const body = { ...rest, ...(messageIds ? { messageIds: [...new Set(messageIds)] } : {}) };
    const moment = (await findKnown(me, reportId, body)) ?? (await record(connection, me, reportId, body));
    await reports.whenKept(moment);
    return { revision: commands.cursors.revision(moment) };
  };
}

type Subjects = Pick<CommandOf<'record report'>, 'seqs' | 'evidence'>;

/** Throws `not_found` if the room, or a message, is not there for this user. */
async function findSubjects(
  commands: Runner,
  connection: Connection,
  me: UserId,
  { roomId, messageIds }: ReportBody,
): Promise<Subjects> {
  if (roomId === undefined) return {};
  const { messages } = await commands.run(connection, {
    kind: 'find messages',
    actor: me,
    roomId,
    messageIds: messageIds ?? [],
  });
  if (messages.length === 0) return {};
  const kept = messages.filter(({ isDeleted }) => !isDeleted);
  return {
    seqs: messages.map(({ seq }) => seq),
    ...(kept.length > 0 ? { evidence: kept.map(({ seq, senderId }) => ({ seq, senderId })) } : {}),
  };
}
