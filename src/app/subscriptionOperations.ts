import { z } from 'zod';
import { Time } from '../domain/fields.js';
import type { HostSubscriptions } from '../subscriptions/hostSubscriptions.js';
import type { OperatorOf } from './userOperations.js';

/** What operators see of the host's subscriptions. */

/** A subscription as the command line shows it. */
export const ShownSubscription = z.strictObject({
  id: z.string(),
  url: z.string(),
  lagEvents: z.int(),
  lagSeconds: z.number(),
  failing: z
    .strictObject({ since: Time, status: z.union([z.int(), z.string()]), next: Time })
    .exactOptional(),
  paused: z.boolean(),
});
export type ShownSubscription = z.infer<typeof ShownSubscription>;

/** The schemas of input and answer, by operation. */
export const subscriptionOperations = {
  /** All subscriptions, with how far each is. */
  listSubscriptions: {
    input: z.strictObject({}),
    answer: z.strictObject({ subscriptions: z.array(ShownSubscription) }),
  },
} as const;

/** Carries the operations out. */
export function operateSubscriptions(
  subscriptions: Pick<HostSubscriptions, 'list'>,
): OperatorOf<typeof subscriptionOperations> {
  return {
    async listSubscriptions() {
      const all = await subscriptions.list();
      return {
        subscriptions: all.map(({ id, url, lagEvents, lagSeconds, failing, paused }) => ({
          ...{ id, url, lagEvents, lagSeconds, paused },
          ...(failing ? { failing } : {}),
        })),
      };
    },
  };
}
