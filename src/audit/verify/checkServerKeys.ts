import type { Recorded } from '../../domain/events.js';
import { type KeyId, streamOf } from '../../domain/ids.js';
import { partitionOf } from '../../log/log.js';
import type { ServerKey, ServerKeyStore } from '../../vault/serverKeys.js';
import type { Mismatch } from './report.js';

/** The server keys of the vault, compared with those that the log has added. */

/** What the log says of a server key. An event behind the end of a check may say only a part. */
export interface ServerKeyUse {
  readonly scopes?: readonly string[];
  readonly isRevoked?: true;
}

const PREFIX = 'server key/';
const serverKeyUseKey = (key: KeyId): string => `${PREFIX}${key}`;
export const isServerKeyUse = (key: string): boolean => key.startsWith(PREFIX);

/** The key of the use that an event says something of; undefined of another event. */
export function serverKeyIn({ type, data }: Recorded): string | undefined {
  return type === 'KeyAdded' || type === 'KeyRevoked' ? serverKeyUseKey(data.keyId) : undefined;
}

/** The use after an event; undefined if it says nothing of a server key. */
export function addServerKeyUse(use: ServerKeyUse | undefined, event: Recorded): ServerKeyUse | undefined {
  if (event.type === 'KeyAdded') return { ...use, scopes: event.data.scopes };
  return event.type === 'KeyRevoked' ? { ...use, isRevoked: true } : undefined;
}

export const SERVER_KEY_EVENTS = ['KeyAdded', 'KeyRevoked'];

/** What server keys are compared with. Uses up to the end of the check, and by events behind it. */
export interface ServerKeyFacts {
  readonly log: { readonly id: string; readonly partitions: number };
  readonly useOf: (
    partition: number,
    key: string,
  ) => Promise<{ readonly serverKey?: ServerKeyUse } | undefined>;
  readonly behind: (partition: number) => Promise<ReadonlyMap<string, { readonly serverKey?: ServerKeyUse }>>;
}

/**
 * Each valid key must be one that the log has added with these scopes and not revoked: the log has a key before the vault,
 * and the vault revokes it before the log.
 */
export async function checkServerKeys(
  keys: Pick<ServerKeyStore, 'list'>,
  { log, useOf, behind }: ServerKeyFacts,
): Promise<Mismatch | undefined> {
  const partition = partitionOf(streamOf('policy', log.id), log.partitions);
  // Read first: what the log says of them was there before.
  const valid = (await keys.list()).filter(({ revokedAt }) => revokedAt === undefined);
  if (valid.length === 0) return undefined;
  const late = await behind(partition);
  for (const { id, scopes } of valid) {
    const name = serverKeyUseKey(id);
    const use = { ...(await useOf(partition, name))?.serverKey, ...late.get(name)?.serverKey };
    const what = whatIsWrong({ id, scopes }, use);
    if (what === undefined) continue;
    // It may have been revoked meanwhile, in the vault first.
    const now = (await keys.list()).find((key) => key.id === id);
    if (now && now.revokedAt === undefined) return { what, partition };
  }
  return undefined;
}

function whatIsWrong(
  { id, scopes }: Pick<ServerKey, 'id' | 'scopes'>,
  use: ServerKeyUse,
): string | undefined {
  if (use.scopes === undefined) return `the vault has server key ${id}, which the log did not add`;
  if (use.isRevoked) return `the vault takes server key ${id}, which the log has revoked`;
  return use.scopes.join() === scopes.join()
    ? undefined
    : `server key ${id} has other scopes than in the log`;
}
