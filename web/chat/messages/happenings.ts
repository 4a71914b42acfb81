import {
  ClientError,
  type Happening,
  type RequestAnswer,
  type RoomView,
  type Store,
  type User,
} from '@parley/client';
import { useEffect, useMemo, useState } from 'preact/hooks';

type Page = RequestAnswer<'get happenings'>;
type PastHappening = Page['happenings'][number];

/** What happened in a group: as the server keeps it, or as this device was told meanwhile. */
export type ShownHappening = PastHappening | Happening;

/** What the server keeps of a group, behind some `seq`. */
interface Past {
  readonly key: string;
  readonly after: number;
  readonly happenings: readonly PastHappening[];
  readonly users: readonly User[];
  /** What this device was told before it asked: it is among `happenings`. */
  readonly told: ReadonlySet<Happening>;
}

/** Happenings are shown behind this `seq` when all messages are. */
const BEGINNING = -1;

/** The `seq` behind which messages are shown; undefined until there are some, and in a private chat. */
function shownAfter({ chat, history, entries }: RoomView): number | undefined {
  if (chat?.roomType !== 'GROUP') return undefined;
  if (history.state === 'complete') return BEGINNING;
  const oldest = entries.find((entry) => entry.state === 'stored');
  return oldest?.state === 'stored' ? oldest.message.seq - 1 : undefined;
}

/** Who comes back to a group sees more of it than before. */
const keyOf = ({ roomId, chat, isMember }: RoomView): string =>
  `${roomId} ${chat?.windows?.length ?? 0} ${isMember}`;

const PAGE_ROWS = 200;
/** The newest pages that are shown of a part of the history. */
const MOST_PAGES = 10;

interface Asked {
  readonly roomId: string;
  /** `seq`s, exclusive. */
  readonly after?: number;
  readonly before?: number;
}

/** What happened between two messages. Rejects with a `ClientError`. */
async function fetchPast(store: Store, asked: Asked): Promise<Pick<Page, 'happenings' | 'users'>> {
  const [happenings, users]: [PastHappening[], User[]] = [[], []];
  let next: string | undefined;
  for (let i = 0; i < MOST_PAGES; i++) {
    const page = await store.request('get happenings', { ...asked, limit: PAGE_ROWS, ...(next && { next }) });
    happenings.unshift(...page.happenings);
    users.push(...page.users);
    next = page.next;
    if (next === undefined) break;
  }
  return { happenings, users };
}

/** Whether the server told the same: what this device was told has fewer fields. */
function isSame(past: PastHappening, told: Happening): boolean {
  const fields = new Map<string, unknown>(Object.entries(past));
  return Object.entries(told).every(([field, value]) => fields.get(field) === value);
}

const eraseUser = ({ userId, backgroundColor, createdAt }: User): User => ({
  ...{ userId, username: null, backgroundColor, createdAt },
  erased: true,
});

/** What happened in a group while the messages were sent that are shown, and the users whom that names. */
export function useHappenings(store: Store, view: RoomView) {
  const { roomId, happenings, named } = view;
  const [after, key] = [shownAfter(view), keyOf(view)];
  const [kept, setKept] = useState<Past>();
  const past = kept?.key === key ? kept : undefined;
  useEffect(() => {
    // The store fetched its state again, and may have missed changes: the pages fetched here are dropped.
    if (after === undefined) return setKept(undefined);
    if (past && past.after <= after) return undefined;
    const told = past?.told ?? new Set(happenings);
    const asked = { roomId, ...(after !== BEGINNING && { after }), ...(past && { before: past.after + 1 }) };
    let isOver = false;
    const fetch = async (): Promise<void> => {
      try {
        const found = await fetchPast(store, asked);
        if (isOver) return;
        setKept({
          ...{ key, after, told },
          happenings: [...found.happenings, ...(past?.happenings ?? [])],
          users: [...found.users, ...(past?.users ?? [])],
        });
      } catch (error) {
        // There was no connection. Lines that the server refuses are not shown.
        if (!isOver && error instanceof ClientError && error.code === 'timeout') await fetch();
      }
    };
    void fetch();
    return () => {
      isOver = true;
    };
  }, [store, key, after]);
  useEffect(
    () =>
      store.on('erase user', ({ userId }) =>
        setKept(
          (before) =>
            before && {
              ...before,
              users: before.users.map((user) => (user.userId === userId ? eraseUser(user) : user)),
            },
        ),
      ),
    [store],
  );
  return useMemo(() => withPast(happenings, named, past), [happenings, named, past]);
}

function withPast(happenings: readonly Happening[], named: readonly User[], past: Past | undefined) {
  if (!past) return { happenings, named };
  const later = happenings.filter(
    (told) => !past.told.has(told) && !past.happenings.some((one) => isSame(one, told)),
  );
  // The store is not told of the erasure of somebody who had left and wrote nothing here.
  const gone = past.users.filter(({ erased }) => erased);
  return { happenings: [...past.happenings, ...later], named: [...gone, ...named, ...past.users] };
}
