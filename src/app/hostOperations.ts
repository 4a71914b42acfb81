import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { Id, Time } from '../domain/fields.js';
import { KEY_SCOPES, KeyList, KeyName } from '../domain/hostKeys.js';
import type { KeyAdministration } from '../host/keyAdministration.js';
import type { HostSubscriptions } from '../subscriptions/hostSubscriptions.js';
import { type OperatorOf, retry } from './userOperations.js';

/** What operators do to the server keys of the host application, and see of its subscriptions. */

/** The schemas of input and answer of what is done to keys, by operation. */
export const keyOperations = {
  /** Answers with the key itself, which nobody can read again. `forbidden`: there are too many. */
  addServerKey: {
    input: z.strictObject({ name: KeyName, scopes: z.array(z.enum(KEY_SCOPES)).min(1) }),
    answer: z.strictObject({ keyId: z.string(), key: z.string() }),
  },
  /** All keys, revoked ones too, without their secrets. */
  listServerKeys: { input: z.strictObject({}), answer: KeyList },
  /** Answers when no node takes the key any more. `not_found`: there is no such key. */
  revokeServerKey: {
    input: z.strictObject({ keyId: Id }),
    answer: z.strictObject({ changed: z.boolean() }),
  },
} as const;

export function operateKeys(administration: KeyAdministration): OperatorOf<typeof keyOperations> {
  return {
    addServerKey({ name, scopes }) {
      const keyId = randomUUID();
      return retry(() => administration.add(keyId, name, scopes));
    },
    listServerKeys: () => administration.list(),
    async revokeServerKey({ keyId }) {
      return { changed: await retry(() => administration.revoke(keyId, 'system')) };
    },
  };
}

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
