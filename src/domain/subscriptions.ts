import { z } from 'zod';
import { forbidden } from '../base/errors.js';
import { command } from './defineCommand.js';
import { event, type Topic } from './defineEvent.js';
import { policyStream } from './history.js';
import { MOST_SUBSCRIPTIONS } from './limits.js';
import { changed, unchanged } from './streams.js';

/**
 * What the host's server, and admins, decide about its subscriptions. The log records each decision. The vault holds the
 * subscriptions themselves, with their secrets, their whole URLs, and how far each is.
 */

export const topic: Topic = 'administration';

const fields = {
  policyId: z.string(),
  subscriptionId: z.string(),
  /** Without its query, which may hold a secret. */
  url: z.string(),
  /** The types and rooms that it is limited to. */
  types: z.array(z.string()).readonly().exactOptional(),
  rooms: z.array(z.string()).readonly().exactOptional(),
  /** The most events of a delivery; absent: one, by itself. */
  batch: z.int().exactOptional(),
  paused: z.literal(true).exactOptional(),
  removed: z.literal(true).exactOptional(),
  /** The number of its newest secret: 1, 2 … */
  secret: z.int().min(1),
} as const;

export const SubscriptionSet = event('SubscriptionSet', policyStream, {
  data: z.strictObject(fields),
  evolve({ subscriptions = [], ...state }, { data: { subscriptionId, removed } }) {
    const others = subscriptions.filter((id) => id !== subscriptionId);
    return { ...state, subscriptions: removed ? others : [...others, subscriptionId] };
  },
  line({ data: { subscriptionId, url, removed, paused, secret } }, { quoted }) {
    const what = removed ? 'removed' : paused ? 'paused' : 'set';
    return `subscription ${subscriptionId} to ${quoted(url)} was ${what}, with secret ${secret}`;
  },
});

/** `to`: what was asked for. `cursor`: where it goes on from. */
export const SubscriptionSought = event('SubscriptionSought', policyStream, {
  data: z.strictObject({
    policyId: z.string(),
    subscriptionId: z.string(),
    to: z.string(),
    cursor: z.string(),
  }),
  line: ({ data: { subscriptionId, to } }, { quoted }) =>
    `subscription ${subscriptionId} was moved to ${quoted(to)}`,
});

/** Records a subscription as it is from now on, as `by` decides. Refused with `too_many` if it is one more than the host may have. */
export const setSubscription = command('set subscription', policyStream, {
  fields: { ...fields, by: z.string() },
  actor: 'by',
  streamId: ({ policyId }) => policyId,
  decide({ kind: _, via: __, by: ___, ...data }, { subscriptions = [] }) {
    const isKnown = subscriptions.includes(data.subscriptionId);
    if (data.removed && !isKnown) return unchanged;
    if (!isKnown && subscriptions.length >= MOST_SUBSCRIPTIONS)
      return {
        refused: forbidden(`there are ${MOST_SUBSCRIPTIONS} subscriptions, the maximum`, 'too_many'),
      };
    return changed(SubscriptionSet.of(data.policyId, data));
  },
});

/** Records that a subscription goes on from another place. `by`: the admin who decides; `system` for the host application. */
export const seekSubscription = command('seek subscription', policyStream, {
  fields: {
    policyId: z.string(),
    subscriptionId: z.string(),
    to: z.string(),
    cursor: z.string(),
    by: z.string(),
  },
  actor: 'by',
  streamId: ({ policyId }) => policyId,
  decide: ({ kind: _, via: __, by: ___, ...data }) => changed(SubscriptionSought.of(data.policyId, data)),
});
