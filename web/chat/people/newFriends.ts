import type { User } from '@parley/client';
import { useEffect, useState } from 'preact/hooks';
import { readJson, writeText } from '../../ui/browserStore.js';
import { useChatPage } from '../chatContext.js';

const keyOf = (userId: string): string => `parley.friends.${userId}`;

/** The friends that this user has seen in this browser; undefined if none are stored. */
function loadSeen(userId: string): ReadonlySet<string> | undefined {
  const stored = readJson(keyOf(userId));
  return Array.isArray(stored) ? new Set(stored.filter((id) => typeof id === 'string')) : undefined;
}

const listeners = new Set<() => void>();

/** Remembers these friends as seen. */
export function markSeen(userId: string, friends: readonly User[]): void {
  writeText(keyOf(userId), JSON.stringify(friends.map((friend) => friend.userId)));
  for (const listener of listeners) listener();
}

/** Remembers a friend whom the user adds. */
export const addSeen = (userId: string, friend: User): void => {
  const seen = loadSeen(userId);
  if (seen === undefined) return;
  writeText(keyOf(userId), JSON.stringify([...seen, friend.userId]));
  for (const listener of listeners) listener();
};

/**
 * Friends whom the user has not seen in the list of friends yet: others have added this user. Those of the first
 * visit in this browser count as seen.
 */
export function useNewFriends(): readonly User[] {
  const { snapshot, me } = useChatPage();
  const { isLoaded, friends } = snapshot;
  const [seen, setSeen] = useState(() => loadSeen(me.userId));
  useEffect(() => {
    const update = (): void => setSeen(loadSeen(me.userId));
    listeners.add(update);
    return () => void listeners.delete(update);
  }, [me.userId]);
  useEffect(() => {
    if (isLoaded && seen === undefined) markSeen(me.userId, friends);
  }, [isLoaded, seen]);
  return seen === undefined ? [] : friends.filter(({ userId }) => !seen.has(userId));
}
