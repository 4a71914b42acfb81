import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import type { Heads } from '../audit/proof/heads.js';
import { notFound, ParleyError } from '../base/errors.js';
import type { CommandRouter } from '../domain/commands.js';
import { Id } from '../domain/fields.js';
import type { MessageRef } from '../domain/ids.js';
import { PAGE_ROWS } from '../domain/limits.js';
import { Note } from '../domain/moderation/reports.js';
import { ROLES } from '../domain/streams.js';
import type { DeletedTexts } from '../erasure/deletedTexts.js';
import type { Erasures } from '../erasure/erasures.js';
import type { Moderation } from '../erasure/reportDecisions.js';
import { KeyAdministration } from '../host/keyAdministration.js';
import type { UserAdministration } from '../http/administration.js';
import { type EventLog, NotExtended } from '../log/log.js';
import type { Projections } from '../projections/startProjections.js';
import { findUser } from '../vault/credentials.js';
import type { OpenVault } from '../vault/openVault.js';
import { keyOperations, operateKeys, subscriptionOperations } from './hostOperations.js';
import { findLostErasures, findLostReports, type LostErasures } from './restore.js';
import { type OperatorOf, operateUsers, retry, userOperations } from './userOperations.js';

/** The operations of a running system, by name: the schemas of input and answer. */
export const operations = {
  ...userOperations,
  ...keyOperations,
  ...subscriptionOperations,
  /** Gives a role, or takes it. `not_found`: no user has this name. */
  role: {
    input: z.strictObject({ username: z.string(), role: z.enum(ROLES), give: z.boolean() }),
    answer: z.strictObject({ changed: z.boolean() }),
  },
  /** Answers when the new table is read and the old one deleted. `conflict`: another rebuild is under way. */
  rebuild: {
    input: z.strictObject({ projection: z.string() }),
    answer: z.strictObject({}),
  },
  /** Replaces the signed head of a partition by one of the log as it is now. `not_found`: no such partition. */
  accept: {
    input: z.strictObject({ partition: z.int().min(0) }),
    answer: z.strictObject({ size: z.int() }),
  },
  /** Deletes a message. Answers when no file holds its text or the key of its text any more. `not_found`: no such message. */
  deleteMessage: {
    input: z.strictObject({ roomId: Id, messageId: Id }),
    answer: z.strictObject({ changed: z.boolean() }),
  },
  /** A page of reports. */
  listReports: {
    input: z.strictObject({ state: z.enum(['open', 'closed']), next: z.string().exactOptional() }),
    answer: z.strictObject({ reports: z.array(z.looseObject({})), next: z.string().exactOptional() }),
  },
  /** A report, its users and messages. `not_found`: no such report. */
  showReport: {
    input: z.strictObject({ reportId: Id }),
    answer: z.looseObject({}),
  },
  /** Decides a report as `system`. `conflict`: it was decided otherwise. The same again finishes what was cut off. */
  decideReport: {
    input: z.strictObject({
      reportId: Id,
      delete: z.array(Id).exactOptional(),
      suspend: z.literal(true).exactOptional(),
      note: Note,
    }),
    answer: z.strictObject({}),
  },
  /**
   * Records the log's history, which a restore has begun. Repeats the `repeated` erasures and deletions that the vault
   * knows and the log lost. May be repeated.
   */
  recordHistory: {
    input: z.strictObject({}),
    answer: z.strictObject({ changed: z.boolean(), repeated: z.int() }),
  },
  /**
   * Erases these users and deletes these messages, as far as the log has them, and finishes what was interrupted. Answers
   * when nothing holds their keys, with the number of those that were there.
   */
  eraseAgain: {
    input: z.strictObject({
      users: z.array(Id),
      messages: z.array(z.strictObject({ roomId: Id, messageId: Id })),
    }),
    answer: z.strictObject({ users: z.int(), messages: z.int() }),
  },
  /** Signs heads with a new key from now on. Answers with the verifier keys, the new ones first. */
  rotateKey: {
    input: z.strictObject({}),
    answer: z.strictObject({ keys: z.array(z.string()) }),
  },
} as const;

type Operations = typeof operations;
export type OperationName = keyof Operations;
export type OperationInput<N extends OperationName> = z.infer<Operations[N]['input']>;
export type OperationAnswer<N extends OperationName> = z.infer<Operations[N]['answer']>;

/** Runs operations, in this process or in another. Rejects with a `ParleyError`; `unknown`: it may have happened. */
export type Operator = OperatorOf<Operations>;

/** The socket on which the process that holds this data directory takes operations. */
export const controlSocketOf = (dataDir: string): string => join(dataDir, 'control.sock');

interface OperatorParts {
  readonly vault: Pick<OpenVault, 'credentials' | 'signing'> &
    Pick<OpenVault, 'keys' | 'holds'> &
    Pick<OpenVault, 'serverKeys'>;
  readonly messages: {
    readonly commands: CommandRouter;
    readonly deletedTexts: Pick<DeletedTexts, 'waitFor' | 'finish'>;
    readonly erasures: Pick<Erasures, 'eraseAgain'>;
    readonly administration: UserAdministration;
    readonly moderation: Pick<Moderation, 'list' | 'decide'> & Pick<Moderation, 'view'>;
  };
  readonly projections: Pick<Projections, 'rebuild'>;
  readonly heads: Pick<Heads, 'accept' | 'keys'>;
  readonly log: Omit<EventLog, 'append'>;
}

/** Operates the system that runs in this process. */
export function systemOperator({
  vault,
  messages,
  projections,
  heads,
  log,
}: OperatorParts): Omit<Operator, keyof typeof subscriptionOperations> {
  const { commands, deletedTexts, erasures, administration, moderation } = messages;
  const { partitions } = log;
  const serverKeys = new KeyAdministration({ keys: vault.serverKeys, commands, policyId: log.id });
  return {
    ...operateUsers(vault.credentials, administration),
    ...operateKeys(serverKeys),
    async role({ username, role, give }) {
      const userId = await findUser(vault.credentials, username);
      const commandId = randomUUID();
      const { changed } = await retry(() =>
        give
          ? commands.execute<'give role'>({ kind: 'give role', userId, role }, commandId)
          : commands.execute<'take role'>({ kind: 'take role', userId, role }, commandId),
      );
      return { changed };
    },
    async rebuild({ projection }) {
      await projections.rebuild(projection);
      return {};
    },
    async accept({ partition }) {
      if (partition >= partitions)
        throw notFound(`there is no partition ${partition}: the log has ${partitions}, numbered from 0`);
      const { size } = await heads.accept(partition);
      // Keys of messages to come were destroyed with deletions that this log lacks.
      if ((await vault.keys.destructionProgress(partition)) > size) await vault.keys.beginGeneration();
      // Nobody can decide a report that the log has lost.
      for (const report of await findLostReports(log, vault.holds)) await vault.holds.endHolds(report);
      return { size };
    },
    async deleteMessage({ roomId, messageId }) {
      const commandId = randomUUID();
      const { changed, moment } = await retry(() =>
        commands.execute<'remove message'>({ kind: 'remove message', roomId, messageId }, commandId),
      );
      await deletedTexts.waitFor(moment);
      return { changed };
    },
    async listReports({ state, ...page }) {
      const { reports, ...rest } = await moderation.list(state, { limit: PAGE_ROWS.max, ...page });
      return { reports: reports.map((report) => ({ ...report })), ...rest };
    },
    showReport: async ({ reportId }) => ({ ...(await moderation.view(reportId)) }),
    async decideReport({ reportId, note, ...decision }) {
      await retry(() => moderation.decide(reportId, { by: 'system', decision, note }));
      return {};
    },
    async recordHistory() {
      const { id: policyId, history } = log;
      const generation = await vault.keys.generation();
      const command = { kind: 'record history', policyId, history, generation } as const;
      const commandId = randomUUID();
      const { changed } = await retry(() => commands.execute<'record history'>(command, commandId));
      const lost = await findLostErasures(log, vault);
      const repeated = await repeatErasures(commands, lost);
      // Only then: while a report keeps them, its deleted texts are told from others.
      for (const report of lost.reports) await vault.holds.endHolds(report);
      await retry(() => serverKeys.recordLost());
      return { changed, repeated };
    },
    async eraseAgain({ users, messages: listed }) {
      const tails = Array.from({ length: partitions }, async (_, partition) => ({
        partition,
        size: (await log.tail(partition))?.size ?? 0,
      }));
      const at = await Promise.all(tails);
      let erased = 0;
      for (const userId of users) erased += await retry(() => erasures.eraseAgain([userId], at));
      if (users.length === 0) await retry(() => erasures.eraseAgain([], at));
      // What the reports of the log keep is known before anything is deleted.
      await deletedTexts.finish();
      const deleted = await deleteEach(commands, listed);
      await deletedTexts.finish();
      return { users: erased, messages: deleted };
    },
    async rotateKey() {
      await vault.signing.rotate();
      return { keys: await heads.keys() };
    },
  };
}

/** Appends what the log has lost. Returns the number of erased users and deleted messages. */
async function repeatErasures(
  commands: CommandRouter,
  { users, members, messages }: LostErasures,
): Promise<number> {
  const id = randomUUID();
  for (const userId of users)
    await retry(() => commands.execute<'erase user'>({ kind: 'erase user', userId }, id));
  for (const member of members)
    await retry(() => commands.execute<'erase member'>({ kind: 'erase member', ...member }, id));
  for (const message of messages)
    await retry(() => commands.execute<'remove message'>({ kind: 'remove message', ...message }, id));
  return users.length + messages.length;
}

/** Commands that run at the same time: they share commits. */
const CONCURRENT_DELETIONS = 64;

/** Deletes the messages that the log has. Returns how many were not deleted before. */
async function deleteEach(commands: CommandRouter, messages: readonly MessageRef[]): Promise<number> {
  let deleted = 0;
  const deleteOne = async (message: MessageRef): Promise<void> => {
    const id = randomUUID();
    try {
      const command = { kind: 'remove message', ...message } as const;
      if ((await retry(() => commands.execute<'remove message'>(command, id))).changed) deleted++;
    } catch (error) {
      // The log was lost from before the message on.
      if (!(error instanceof ParleyError && error.code === 'not_found')) throw error;
    }
  };
  for (let i = 0; i < messages.length; i += CONCURRENT_DELETIONS)
    await Promise.all(messages.slice(i, i + CONCURRENT_DELETIONS).map(deleteOne));
  return deleted;
}

/** A partition that lacked events that were signed, and its present number of events. */
export interface Accepted {
  readonly partition: number;
  readonly size: number;
}

/** Accepts the partitions that do not extend their signed heads, as they are. */
export async function acceptShortened(
  heads: Pick<Heads, 'accept' | 'check'>,
  partitions: number,
): Promise<Accepted[]> {
  const accepted: Accepted[] = [];
  for (let partition = 0; partition < partitions; partition++)
    try {
      await heads.check(partition);
    } catch (error) {
      if (!(error instanceof NotExtended)) throw error;
      const { size } = await retry(() => heads.accept(partition));
      accepted.push({ partition, size });
    }
  return accepted;
}
