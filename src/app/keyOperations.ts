import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { Id } from '../domain/fields.js';
import { KeyList, MadeKey, NewKey } from '../domain/hostKeys.js';
import type { KeyAdministration } from '../host/keyAdministration.js';
import { type OperatorOf, retry } from './userOperations.js';

/** What operators do to server keys. */

/** The schemas of input and answer, by operation. */
export const keyOperations = {
  /** Answers with the key itself, which nobody can read again. `forbidden`: there are too many. */
  addServerKey: { input: NewKey, answer: MadeKey },
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
      return retry(() => administration.add(keyId, { name, scopes, by: 'system' }));
    },
    listServerKeys: () => administration.list(),
    async revokeServerKey({ keyId }) {
      return { changed: await retry(() => administration.revoke(keyId, 'system')) };
    },
  };
}
