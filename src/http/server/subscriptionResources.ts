import type Router from '@koa/router';
import type { RouterContext } from '@koa/router';
import { z } from 'zod';
import { TypeList } from '../../audit/events/eventFilter.js';
import { notFound } from '../../base/errors.js';
import { type CommandRouter, routerVia } from '../../domain/commands.js';
import { eventTypes } from '../../domain/events.js';
import { Id, Time } from '../../domain/fields.js';
import type { KeyId } from '../../domain/ids.js';
import { CURSOR_CHARACTERS, SUBSCRIPTION_BATCH, SUBSCRIPTION_ROOMS } from '../../domain/limits.js';
import type { EventFeed } from '../../subscriptions/eventFeed.js';
import type { Decider, HostSubscriptions } from '../../subscriptions/hostSubscriptions.js';
import { EventQuery, EventsAnswer } from '../audit/auditEvents.js';
import { serveResource } from '../auth.js';
import { readBody, readNoBody, readQuery } from '../problems.js';
import { NoFields } from '../schemas.js';
import type { RequireKey } from './serverAuth.js';

/** The host's server gets the events of the log: sent to it, or by asking. */

const URL_CHARACTERS = 2048;
/** An id of the host's choice. */
export const SUBSCRIPTION_ID = '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$';

const Place = z.string().min(1).max(CURSOR_CHARACTERS).meta({
  description: '`now`, `start`, a time (ISO 8601) at which the events begin, or a cursor.',
});

export const SubscriptionBody = z.strictObject({
  url: z.string().min(1).max(URL_CHARACTERS).meta({
    description: 'An `https` URL at a public address, or one that `EGRESS_ALLOW` permits.',
  }),
  types: z
    .array(z.enum(eventTypes, 'must be a type of event, such as MessageSent'))
    .min(1)
    .max(eventTypes.length)
    .exactOptional()
    .meta({ description: 'Only these. Without it all but presence and `AuditRead`.' }),
  rooms: z
    .array(Id)
    .min(1)
    .max(SUBSCRIPTION_ROOMS)
    .exactOptional()
    .meta({ description: 'Only events of these rooms.' }),
  from: Place.default('now').meta({
    description: `${Place.meta()?.description} It is used only when the subscription is created.`,
  }),
  batch: z.int().min(1).max(SUBSCRIPTION_BATCH).exactOptional().meta({
    description:
      'The maximum number of events in a delivery, which is then a list. Without it, a delivery is one event.',
  }),
});

export const SeekBody = z.strictObject({ to: Place });

const Subscription = z
  .strictObject({
    id: z.string(),
    url: z.string().meta({ description: 'Without its query.' }),
    types: z.array(z.string()).exactOptional(),
    rooms: z.array(z.string()).exactOptional(),
    batch: z.int().exactOptional(),
    cursor: z.string().meta({ description: 'All events before it were taken, or are not wanted.' }),
    lagEvents: z.int().min(0).meta({ description: 'Events of the log behind the cursor.' }),
    lagSeconds: z.number().min(0).meta({ description: 'The age of the oldest of them.' }),
    failing: z
      .strictObject({
        since: Time,
        status: z.union([z.int(), z.enum(['timeout', 'unreachable', 'address'])]).meta({
          description:
            'The status of the last answer. `timeout`: none came in time. `unreachable`: there was no connection. `address`: the URL’s address is not permitted.',
        }),
        next: Time.meta({ description: 'The time of the next try.' }),
      })
      .exactOptional(),
    paused: z.boolean(),
  })
  .meta({ id: 'Subscription' });

export const SubscriptionAnswer = z.strictObject({ subscription: Subscription });
export const SubscriptionsAnswer = z.strictObject({ subscriptions: z.array(Subscription) });
export const SecretAnswer = z.strictObject({
  subscription: Subscription,
  secret: z.string().exactOptional().meta({ description: '`whsec_…`. It is shown only here, once.' }),
});

/** At most 30 s, as durations are written in the settings. */
const WAIT = /^(?:([12]?\d{1,4}|30000)ms|([12]?\d(?:\.\d{1,3})?|30(?:\.0{1,3})?)s)$/;

export const ServerEventsQuery = z.strictObject({
  from: Place.default('now'),
  types: TypeList.exactOptional().meta({
    description:
      'Types of events, separated by commas. Without it, all types except presence and `AuditRead`.',
  }),
  limit: EventQuery.shape.limit,
  wait: z
    .string()
    .regex(WAIT, 'must be a number with the unit ms or s, at most 30s')
    .exactOptional()
    .meta({ description: 'How long to wait for an event if there is none, such as `30s`.' }),
});

export const ServerEventsAnswer = z.strictObject({
  events: EventsAnswer.shape.events,
  next: z.string().meta({ description: 'Goes into `from` to go on. It is always there: more may come.' }),
});

function waitMs(text: string | undefined): number {
  const [, ms, seconds] = WAIT.exec(text ?? '') ?? [];
  return ms === undefined ? Number(seconds ?? 0) * 1000 : Number(ms);
}

/** The id in the path. Throws `not_found` if it cannot be one. */
export function idIn(ctx: RouterContext): string {
  const { id = '' } = ctx.params;
  if (!new RegExp(SUBSCRIPTION_ID).test(id))
    throw notFound('an id of a subscription has 1 to 64 ASCII letters, digits, dots, dashes and underscores');
  return id;
}

export interface SubscriptionResources {
  readonly subscriptions: HostSubscriptions;
  readonly feed: EventFeed;
  readonly commands: CommandRouter;
}

/** Subscriptions of the host's server, and the events themselves. */
export function mountSubscriptions(
  router: Router,
  parts: SubscriptionResources,
  requireKey: RequireKey,
): void {
  const { subscriptions, commands } = parts;
  const decider = (key: KeyId): Decider => ({ commands: routerVia(commands, key), by: 'system' });
  mountEvents(router, parts, requireKey);
  serveResource(router, '/server/subscriptions', {
    GET: requireKey('events', async (ctx) => {
      readQuery(ctx, NoFields);
      ctx.body = { subscriptions: await subscriptions.list() };
    }),
  });
  serveResource(router, '/server/subscriptions/:id', {
    PUT: requireKey('events', async (ctx, key) => {
      const id = idIn(ctx);
      const wanted = await readBody(ctx, SubscriptionBody);
      const { subscription, secret } = await subscriptions.put(decider(key.id), id, wanted);
      ctx.status = secret === undefined ? 200 : 201;
      ctx.body = { subscription, ...(secret === undefined ? {} : { secret }) };
    }),
    GET: requireKey('events', async (ctx) => {
      readQuery(ctx, NoFields);
      ctx.body = { subscription: await subscriptions.get(idIn(ctx)) };
    }),
    DELETE: requireKey('events', async (ctx, key) => {
      await readNoBody(ctx, NoFields);
      await subscriptions.remove(decider(key.id), idIn(ctx));
      ctx.status = 204;
    }),
  });
  serveResource(router, '/server/subscriptions/:id/seek', {
    POST: requireKey('events', async (ctx, key) => {
      const id = idIn(ctx);
      const { to } = await readBody(ctx, SeekBody);
      ctx.body = { subscription: await subscriptions.seek(decider(key.id), id, to) };
    }),
  });
  for (const verb of ['pause', 'resume'] as const)
    serveResource(router, `/server/subscriptions/:id/${verb}`, {
      POST: requireKey('events', async (ctx, key) => {
        await readNoBody(ctx, NoFields);
        ctx.body = { subscription: await subscriptions[verb](decider(key.id), idIn(ctx)) };
      }),
    });
  serveResource(router, '/server/subscriptions/:id/rotate', {
    POST: requireKey('events', async (ctx, key) => {
      await readNoBody(ctx, NoFields);
      ctx.body = await subscriptions.rotate(decider(key.id), idIn(ctx));
    }),
  });
}

function mountEvents(router: Router, { feed }: SubscriptionResources, requireKey: RequireKey): void {
  serveResource(router, '/server/events', {
    GET: requireKey('events', async (ctx) => {
      const { from, types, limit, wait } = readQuery(ctx, ServerEventsQuery);
      const gone = new AbortController();
      const end = (): void => gone.abort();
      ctx.res.once('close', end);
      const query = { from, limit, waitMs: waitMs(wait), ...(types ? { types: types.split(',') } : {}) };
      ctx.body = await feed.page(query, gone.signal);
    }),
  });
}
