import { randomUUID } from 'node:crypto';
import type Router from '@koa/router';
import { z } from 'zod';
import type { CommandRouter } from '../domain/commands.js';
import { Id, Time } from '../domain/fields.js';
import { PAGE_ROWS, REPORTED_MESSAGES } from '../domain/limits.js';
import { Category, Note, Verdict } from '../domain/moderation/reports.js';
import { Chat, Message, User } from '../domain/userMessageChat.js';
import type { Moderation } from '../erasure/reportDecisions.js';
import type { Report } from '../projections/reportQueries.js';
import { type RequireSession, serveResource } from './auth.js';
import { readBody, readIdAlone, readQuery } from './problems.js';
import { pageLimit } from './schemas.js';

export const ReportsQuery = z.strictObject({
  state: z.enum(['open', 'closed'], 'must be open or closed').default('open'),
  limit: pageLimit(PAGE_ROWS),
  next: z.string().min(1).max(512).exactOptional().meta({ description: 'The `next` of the page before.' }),
});

const ReportShown = z
  .strictObject({
    reportId: z.string(),
    reporterId: z.string(),
    reportedAt: Time,
    roomId: z.string().exactOptional(),
    messageIds: z.array(z.string()).exactOptional(),
    userId: z.string().exactOptional().meta({ description: 'The reported user.' }),
    category: Category,
    note: z.string().nullable().exactOptional().meta({ description: 'Null once the reporter is erased.' }),
    decided: z
      .strictObject({ by: z.string(), at: Time, decision: Verdict, note: z.string().nullable() })
      .exactOptional(),
  })
  .meta({ id: 'Report' });

/** The code points of a message that the list of reports shows. */
const EXCERPT_CHARACTERS = 100;

const First = z.strictObject({ senderId: z.string(), excerpt: z.string().nullable() }).meta({
  description: `Who wrote the first reported message, and its first ${EXCERPT_CHARACTERS} characters; null if it was deleted.`,
});

export const ReportsAnswer = z.strictObject({
  reports: z.array(ReportShown.extend({ first: First.exactOptional() }).meta({ id: 'ListedReport' })),
  next: z.string().exactOptional().meta({ description: 'Goes into `next`; absent at the end.' }),
});

const ReportedRoom = z.strictObject({
  roomId: z.string(),
  roomType: Chat.shape.roomType,
  name: z.string().nullable().exactOptional().meta({ description: 'Of a group; null once it is erased.' }),
  members: z.int().min(0).exactOptional().meta({ description: 'Of a group: the number of its members.' }),
  memberIds: z.array(z.string()).exactOptional().meta({ description: 'Of a private chat.' }),
});

export const ReportAnswer = z.strictObject({
  report: ReportShown,
  room: ReportedRoom.exactOptional().meta({ description: 'As the reporter sees it.' }),
  users: z.array(User).meta({
    description:
      'The reporter, the reported user, the members of a private chat, and who wrote the messages.',
  }),
  messages: z.array(Message).meta({
    description:
      'The reported ones and the 5 before and after each. One that was deleted after the report has its text here while the report is open.',
  }),
  editedSince: z.array(z.strictObject({ messageId: z.string(), message: z.string().nullable() })).meta({
    description:
      'Reported messages that were edited since, with the texts that they had at the time of the report.',
  }),
});

export const Decision = z.strictObject({
  delete: z.array(Id).min(1).max(REPORTED_MESSAGES).exactOptional().meta({
    description: 'Messages of the report.',
  }),
  suspend: z.literal(true).exactOptional().meta({
    description: 'Suspends the reported user, or the only sender of all reported messages.',
  }),
  note: Note,
});

function show({ reporter, seqs: _, evidence: __, messageIds, decided, ...report }: Report) {
  return {
    ...{ ...report, reporterId: reporter },
    ...(messageIds ? { messageIds: [...messageIds] } : {}),
    ...(decided ? { decided } : {}),
  };
}

function excerptOf(first: z.infer<typeof Message> | undefined): { first?: z.infer<typeof First> } {
  if (!first) return {};
  const { senderId, message } = first;
  const excerpt = message === null ? null : [...message].slice(0, EXCERPT_CHARACTERS).join('');
  return { first: { senderId, excerpt } };
}

export interface ModerationParts {
  readonly moderation: Moderation;
  readonly commands: CommandRouter;
}

/** Reports, for moderators. The log records each look before it is answered. */
export function mountModeration(
  router: Router,
  { moderation, commands }: ModerationParts,
  moderated: RequireSession,
): void {
  const recordLook = (
    userId: string,
    resource: 'report' | 'reports',
    query: Readonly<Record<string, string>>,
  ) =>
    commands.execute<'record audit read'>(
      { kind: 'record audit read', userId, resource, query },
      randomUUID(),
    );

  serveResource(router, '/admin/reports', {
    GET: moderated(async (ctx, { userId }) => {
      const { state, ...page } = readQuery(ctx, ReportsQuery);
      const { reports, ...rest } = await moderation.list(state, page);
      // A checked query has strings only.
      await recordLook(userId, 'reports', ctx.query as Record<string, string>);
      const firsts = await moderation.firstMessages(reports);
      ctx.body = {
        reports: reports.map((report, i) => ({ ...show(report), ...excerptOf(firsts[i]) })),
        ...rest,
      };
    }),
  });

  serveResource(router, '/admin/reports/:id', {
    GET: moderated(async (ctx, { userId }) => {
      const id = readIdAlone(ctx, 'id');
      const { report, ...rest } = await moderation.view(id);
      await recordLook(userId, 'report', { id });
      ctx.body = { report: show(report), ...rest };
    }),
  });

  serveResource(router, '/admin/reports/:id/decision', {
    POST: moderated(async (ctx, { userId: by }) => {
      const id = readIdAlone(ctx, 'id');
      const { note, ...decision } = await readBody(ctx, Decision);
      await moderation.decide(id, { by, decision, note });
      ctx.status = 204;
    }),
  });
}
