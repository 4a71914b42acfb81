import type { Message, Snapshot, User } from '@parley/client';
import { displayName } from '../ui/displayName.js';
import { withNames } from './messages/messageText.js';

/** Everybody whom the lists name. */
function* listedUsers({ me, friends, chats, requests, archived }: Snapshot): Iterable<User> {
  if (me) yield me;
  yield* friends;
  for (const { other, sender } of [...chats, ...requests, ...archived]) {
    if (other) yield other;
    if (sender) yield sender;
  }
}

/** The text of a last message, which names those whom it mentions as its room does, as far as the lists know them. */
export const previewOf = (snapshot: Snapshot, message: Pick<Message, 'message' | 'mentions'>): string =>
  withNames(
    message,
    (wanted) => {
      for (const user of listedUsers(snapshot)) if (user.userId === wanted) return user;
      return undefined;
    },
    displayName,
  );
