import type { PushName, RequestAnswer, Store } from '@parley/client';
import { useEffect, useReducer, useState } from 'preact/hooks';
import { useChatPage } from '../chatContext.js';
import { failureText } from '../people/failureText.js';

export type Member = RequestAnswer<'get members'>['members'][number];

/** More pages than the largest group has. */
const MOST_PAGES = 50;
const PAGE_MEMBERS = 200;

/** All members of a group, in the order in which they came. */
export async function fetchMembers(store: Store, roomId: string): Promise<readonly Member[]> {
  const all: Member[] = [];
  let next: string | undefined;
  for (let page = 0; page < MOST_PAGES; page++) {
    const answer = await store.request('get members', { roomId, limit: PAGE_MEMBERS, ...(next && { next }) });
    all.push(...answer.members);
    next = answer.next;
    if (next === undefined) break;
  }
  return all;
}

/** What changes who is in a group, or what they may do. */
const CHANGES = [
  'add member',
  'remove member',
  'change role',
  'erase user',
] as const satisfies readonly PushName[];
/** Many changes that come together are fetched once. */
const CALM_MS = 150;

/** The members of a group, as they change. */
export function useMembers(roomId: string) {
  const { store } = useChatPage();
  const [members, setMembers] = useState<readonly Member[]>();
  const [error, setError] = useState('');
  const [round, refresh] = useReducer((n: number, _: undefined) => n + 1, 0);
  useEffect(() => {
    const stops = CHANGES.map((name) =>
      store.on(name, (push) => {
        if (push.roomId === roomId) refresh(undefined);
      }),
    );
    return () => {
      for (const stop of stops) stop();
    };
  }, [store, roomId]);
  useEffect(() => {
    let isOver = false;
    const timer = setTimeout(
      () => {
        fetchMembers(store, roomId).then(
          (all) => {
            if (isOver) return;
            setMembers(all);
            setError('');
          },
          (reason) => {
            if (!isOver) setError(failureText(reason));
          },
        );
      },
      round === 0 ? 0 : CALM_MS,
    );
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [store, roomId, round]);
  return { members, error, refresh: () => refresh(undefined) };
}
