import { z } from 'zod';
import { forbidden, notFound } from '../base/errors.js';
import { command } from './defineCommand.js';
import { event, type Topic } from './defineEvent.js';
import { label, Time } from './fields.js';
import { policyStream } from './history.js';
import { KEY_NAME_CODE_POINTS, MOST_SERVER_KEYS } from './limits.js';
import { changed, unchanged } from './streams.js';

/** Server keys: with one, the host application's server acts for its users. The vault holds the hash of each. */

export const topic: Topic = 'administration';

/** What a key permits. */
export const KEY_SCOPES = ['users', 'rooms', 'messages', 'events'] as const;
export type KeyScope = (typeof KEY_SCOPES)[number];

const Scopes = z.array(z.enum(KEY_SCOPES)).readonly();

export const KeyName = label(KEY_NAME_CODE_POINTS);

/** All keys, revoked ones too, without their secrets. */
export const KeyList = z.strictObject({
  keys: z.array(
    z.strictObject({
      keyId: z.string(),
      name: z.string(),
      scopes: z.array(z.enum(KEY_SCOPES)),
      createdAt: Time,
      revokedAt: Time.exactOptional(),
    }),
  ),
});

export const KeyAdded = event('KeyAdded', policyStream, {
  data: z.strictObject({ policyId: z.string(), keyId: z.string(), scopes: Scopes }),
  evolve: ({ keys = {}, ...state }, { data: { keyId } }) => ({
    ...state,
    keys: { ...keys, [keyId]: 'valid' as const },
  }),
  line: ({ data: { keyId, scopes } }) => `an operator added server key ${keyId} for ${scopes.join(', ')}`,
});

export const KeyRevoked = event('KeyRevoked', policyStream, {
  data: z.strictObject({ policyId: z.string(), keyId: z.string() }),
  evolve: ({ keys = {}, ...state }, { data: { keyId } }) => ({
    ...state,
    keys: { ...keys, [keyId]: 'revoked' as const },
  }),
  line: ({ data: { keyId } }) => `server key ${keyId} was revoked`,
});

/** `policyId` is the id of the log. Operators alone make keys. A repeat changes nothing. */
export const addKey = command('add key', policyStream, {
  fields: { policyId: z.string(), keyId: z.string(), scopes: Scopes },
  actor: 'system',
  streamId: ({ policyId }) => policyId,
  decide({ policyId, keyId, scopes }, { keys = {} }) {
    if (keys[keyId] === 'valid') return unchanged;
    if (keys[keyId] === 'revoked') return { refused: forbidden(`key ${keyId} was revoked`) };
    const valid = Object.values(keys).filter((is) => is === 'valid').length;
    if (valid >= MOST_SERVER_KEYS)
      return { refused: forbidden(`there are ${MOST_SERVER_KEYS} keys: revoke one`, 'too_many') };
    return changed(KeyAdded.of(policyId, { policyId, keyId, scopes }));
  },
});

/** `by`: the admin who decides; `system` for an operator. `not_found` for a key that was never added. */
export const revokeKey = command('revoke key', policyStream, {
  fields: { policyId: z.string(), keyId: z.string(), by: z.string() },
  actor: 'by',
  streamId: ({ policyId }) => policyId,
  decide({ policyId, keyId }, { keys = {} }) {
    if (keys[keyId] === undefined) return { refused: notFound(`there is no key ${keyId}`) };
    if (keys[keyId] === 'revoked') return unchanged;
    return changed(KeyRevoked.of(policyId, { policyId, keyId }));
  },
});
