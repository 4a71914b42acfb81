import type { ChatView, User } from '@parley/client';
import { text } from './texts.js';

/** The user's name; a user whose account was erased has none. */
export const displayName = (user: User): string =>
  user.displayName ?? user.username ?? text('name.deletedUser');

/** The name of a group, or of the other member of a private chat. */
export const chatName = ({ other, name }: ChatView): string =>
  other ? displayName(other) : (name ?? text('name.deletedGroup'));
