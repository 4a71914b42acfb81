import { useEffect, useState } from 'preact/hooks';
import { readJson, removeStored, writeText } from '../../ui/browserStore.js';
import { loadSession } from '../../ui/session.js';

/** Texts that were not sent yet, by room, of one user. They survive a reload, and go with the sign-out. */

/** More rooms than this forget their oldest draft. */
const MOST_DRAFTS = 100;

const keyOf = (userId: string): string => `parley.drafts.${userId}`;

/** Anybody may have changed what the browser stores: what is no text is left out. */
function load(userId: string): Map<string, string> {
  const stored = readJson(keyOf(userId));
  const entries = typeof stored === 'object' && stored !== null ? Object.entries(stored) : [];
  return new Map(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** Called with the new draft of a room, by room. */
const listeners = new Map<string, (draft: string) => void>();
/** The drafts as they were read last: a list of 1,000 chats asks for each of them. */
let latest: { readonly userId: string; readonly drafts: ReadonlyMap<string, string> } | undefined;

function readOnce(userId: string): ReadonlyMap<string, string> {
  if (latest?.userId !== userId) latest = { userId, drafts: load(userId) };
  return latest.drafts;
}

/** The draft of a room, as this page last stored it. One component of a room uses it at a time. */
export function useDraft(userId: string, roomId: string): string {
  const [draft, setDraft] = useState(() => readOnce(userId).get(roomId) ?? '');
  useEffect(() => {
    listeners.set(roomId, setDraft);
    setDraft(readOnce(userId).get(roomId) ?? '');
    return () => {
      if (listeners.get(roomId) === setDraft) listeners.delete(roomId);
    };
  }, [userId, roomId]);
  return draft;
}

export const draftOf = (userId: string, roomId: string): string => load(userId).get(roomId) ?? '';

/** Keeps the draft of a room; an empty one is forgotten. */
export function saveDraft(userId: string, roomId: string, text: string): void {
  // A page that goes because of the sign-out must not bring back what was forgotten.
  if (loadSession()?.user.userId !== userId) return;
  // Read again each time: another tab writes the drafts of other rooms.
  const drafts = load(userId);
  if ((drafts.get(roomId) ?? '') === text) return;
  drafts.delete(roomId);
  if (text !== '') drafts.set(roomId, text);
  const kept = [...drafts].slice(-MOST_DRAFTS);
  latest = { userId, drafts: new Map(kept) };
  listeners.get(roomId)?.(text);
  if (kept.length === 0) removeStored(keyOf(userId));
  else writeText(keyOf(userId), JSON.stringify(Object.fromEntries(kept)));
}

/** The rooms with a draft, whichever tab has stored it. */
export const countDrafts = (userId: string): number =>
  [...load(userId).values()].filter((draft) => draft.trim() !== '').length;

/** Forgets all drafts of a user in this browser. */
export function forgetDrafts(userId: string): void {
  latest = undefined;
  removeStored(keyOf(userId));
}
