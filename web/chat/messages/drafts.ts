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
  if (kept.length === 0) removeStored(keyOf(userId));
  else writeText(keyOf(userId), JSON.stringify(Object.fromEntries(kept)));
}

/** Forgets all drafts of a user in this browser. */
export const forgetDrafts = (userId: string): void => removeStored(keyOf(userId));
