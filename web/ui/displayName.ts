import type { ChatView, User } from '@parley/client';

/** The user's name; a user whose account was erased has none. */
export const displayName = (user: User): string => user.displayName ?? user.username ?? 'Deleted user';

/** The name of a group, or of the other member of a private chat. */
export const chatName = ({ other, name }: ChatView): string =>
  other ? displayName(other) : (name ?? 'Deleted group');
