import type { Json } from '../schemas.js';
import {
  SecretAnswer,
  SeekBody,
  ServerEventsAnswer,
  ServerEventsQuery,
  SUBSCRIPTION_ID,
  SubscriptionAnswer,
  SubscriptionBody,
  SubscriptionsAnswer,
} from '../server/subscriptionResources.js';
import { inPath } from './auditRoutes.js';

const common = { tag: 'Host', key: true } as const;
const id: Json[] = inPath(
  'id',
  { type: 'string', pattern: SUBSCRIPTION_ID },
  'The id of the subscription, of the host’s choice.',
);
const errors = ['bad_request', 'forbidden', 'rate_limited', 'overloaded', 'unknown'] as const;
const ofOne = [...errors, 'not_found'] as const;

const act = (verb: string, summary: string, about: string, more: object = {}) => ({
  [`/server/subscriptions/{id}/${verb}`]: {
    post: {
      id: `${verb}Subscription`,
      ...{ ...common, summary, about, path: id, status: 200, answer: SubscriptionAnswer, errors: ofOne },
      ...more,
    },
  },
});

/** The paths by which the host's server gets events, in OpenAPI's notation. */
export const eventPaths = {
  '/server/events': {
    get: {
      id: 'getEvents',
      summary: 'Get events on request',
      about:
        'Returns the events that follow a place, in order within each partition. A page may hold fewer than `limit`, even none; continue with `next`. With `wait` it waits for the first event.',
      ...common,
      query: ServerEventsQuery,
      status: 200,
      answer: ServerEventsAnswer,
      errors: ['bad_request', 'forbidden', 'rate_limited', 'overloaded'] as const,
    },
  },
  '/server/subscriptions': {
    get: {
      id: 'listSubscriptions',
      summary: 'List the subscriptions',
      about: 'Returns all subscriptions with their progress.',
      ...common,
      status: 200,
      answer: SubscriptionsAnswer,
      errors: ['bad_request', 'forbidden', 'rate_limited', 'overloaded'] as const,
    },
  },
  '/server/subscriptions/{id}': {
    put: {
      id: 'putSubscription',
      summary: 'Create or change a subscription',
      about:
        'Sends events to this URL from now on: 201 with its secret for a new subscription, 200 for one that exists. The 51st is `forbidden` with `too_many`. An address that is not permitted is a `bad_request` with `url`.',
      ...common,
      path: id,
      body: SubscriptionBody,
      status: 200,
      creates: true as const,
      answer: SecretAnswer,
      errors,
    },
    get: {
      id: 'getSubscription',
      summary: 'Get a subscription',
      about: 'Returns the progress of a subscription, and whether it fails.',
      ...common,
      path: id,
      status: 200,
      answer: SubscriptionAnswer,
      errors: ofOne,
    },
    delete: {
      id: 'removeSubscription',
      summary: 'Remove a subscription',
      about: 'Stops sending to its URL, and deletes its place.',
      ...common,
      path: id,
      status: 204,
      errors: ofOne,
    },
  },
  ...act(
    'seek',
    'Move a subscription',
    'Goes on from another place: forward, or back to send events again. What failed before is tried at once.',
    { body: SeekBody },
  ),
  ...act('pause', 'Pause a subscription', 'Sends nothing until `resume`. It keeps its place.'),
  ...act('resume', 'Resume a subscription', 'Goes on where it was, at once, also after failures.'),
  ...act(
    'rotate',
    'Make a new secret',
    'Signs with a new secret, which is shown once, and for 24 h with the one before too.',
    { answer: SecretAnswer },
  ),
};
