import type { RoomView, Store, User } from '@parley/client';

/** All members of a room; of a larger group those beyond the first are asked for. Rejects with a `ClientError`. */
export async function membersOf(store: Store, view: RoomView): Promise<readonly User[]> {
  const { roomId, chat, participants } = view;
  if ((chat?.members ?? 0) <= participants.length) return participants;
  const members: User[] = [];
  let next: string | undefined;
  do {
    const page = await store.request('get members', { roomId, limit: 200, ...(next && { next }) });
    members.push(...page.members.map(({ user }) => user));
    next = page.next;
  } while (next !== undefined);
  return members;
}
