import type { UserId } from '../domain/ids.js';
import type { SealedMessage } from '../domain/pushes.js';
import { type ChatRow, chatsModel, lastSeqOf, openChats } from './models/chats.js';
import { friendshipsModel } from './models/friendships.js';
import { messagesBetween, openMessages } from './models/messages.js';
import { type ContentOpener, requireUsers, type ViewSource } from './models/users.js';
import type { ChangedStream, StoredChange } from './queries.js';
import { elementAt, type Model, type Row, type RowReader, valuesOf } from './store/rowStore.js';

/** A stretch of a partition: `above` exclusive, `upTo` inclusive. */
interface Stretch {
  readonly above: number;
  readonly upTo: number;
}

type Changes = { changes: StoredChange[]; hasMore: boolean };

/**
 * The user's streams of a partition whose row lies above an offset, by key, from behind `after`.
 * `friendship:…` sorts before `room:…`: the walk goes through one model, then through the other.
 */
export async function changedStreams(
  rows: RowReader,
  userId: UserId,
  partition: number,
  above: number,
  { after, limit }: { after?: string; limit: number },
): Promise<ChangedStream[]> {
  const terms = [`${userId}/${partition}`];
  const from = after === undefined ? {} : { from: { sort: 0, key: after } };
  const keys: ChangedStream[] = [];
  const visit = async <R>(model: Model<R>) => {
    const find = { terms, above, byKey: true, limit: limit - keys.length, ...from };
    for (const { key } of await rows.find(model, 'changed', find)) keys.push({ key });
  };
  if (after === undefined || after < 'room:') await visit(friendshipsModel);
  if (keys.length < limit) await visit(chatsModel);
  return keys;
}

/** The stored pushes of a stream to the user within a stretch, by offset, at most `limit`. */
export async function changesSince(
  source: ViewSource,
  userId: UserId,
  key: string,
  stretch: Stretch,
  limit: number,
): Promise<Changes> {
  return key.startsWith('room:')
    ? changesOfRoom(source, userId, key, stretch, limit)
    : changesOfFriendship(source, userId, key, stretch);
}

async function changesOfFriendship(
  source: ViewSource,
  userId: UserId,
  key: string,
  stretch: Stretch,
): Promise<Changes> {
  const friendship = (await source.rows.get(friendshipsModel, [key])).get(key)?.value;
  if (!friendship?.members.includes(userId) || !within(stretch, friendship.addedAt))
    return { changes: [], hasMore: false };
  const others = friendship.members.filter((member) => member !== userId);
  const friends = await requireUsers(source, others);
  const changes = friends.map(
    (friend): StoredChange => ({ offset: friendship.addedAt, event: 'add friend', data: { friend } }),
  );
  return { changes, hasMore: false };
}

async function changesOfRoom(
  source: ViewSource,
  userId: UserId,
  key: string,
  stretch: Stretch,
  limit: number,
): Promise<Changes> {
  const chat = (await source.rows.get(chatsModel, [key])).get(key)?.value;
  if (!chat?.members.includes(userId)) return { changes: [], hasMore: false };
  // One more message than asked for: all that comes before it is then known.
  const messages = messagesBetween(source.rows, chat.roomId, {
    ...stretch,
    lastSeq: lastSeqOf(chat),
    limit: limit + 1,
  });
  const opening = openingOf(source, userId, chat, stretch);
  const changes = [...(await messageChanges(source.open, await messages)), ...(await opening)];
  changes.push(...readMarks(chat, stretch), ...erasures(chat, stretch));
  changes.sort((a, b) => a.offset - b.offset);
  return { changes: changes.slice(0, limit), hasMore: changes.length > limit };
}

async function messageChanges(
  open: ContentOpener,
  rows: readonly Row<SealedMessage>[],
): Promise<StoredChange[]> {
  const messages = await openMessages(open, valuesOf(rows));
  return rows.map(({ offset }, i) => ({
    offset,
    event: 'send message',
    data: { message: elementAt(messages, i) },
  }));
}

/** The chat became active for the user: it is shown as it is now, what follows is in it already. */
async function openingOf(
  source: ViewSource,
  userId: UserId,
  chat: ChatRow,
  stretch: Stretch,
): Promise<StoredChange[]> {
  const offset = chat.active[userId];
  if (offset === undefined || !within(stretch, offset)) return [];
  const rooms = await openChats(source, userId, [chat]);
  return rooms.map((room) => ({ offset, event: 'init chat', data: { room } }));
}

/** One that moved again beyond the stretch is left to the push that says so. */
function readMarks({ roomId, reads }: ChatRow, stretch: Stretch): StoredChange[] {
  return Object.entries(reads)
    .filter(([, { offset }]) => within(stretch, offset))
    .map(([userId, { upTo, offset }]) => ({
      offset,
      event: 'read messages',
      data: { roomId, userId, upTo },
    }));
}

function erasures({ roomId, erased = {} }: ChatRow, stretch: Stretch): StoredChange[] {
  return Object.entries(erased)
    .filter(([, offset]) => within(stretch, offset))
    .map(([userId, offset]) => ({ offset, event: 'erase user', data: { roomId, userId } }));
}

function within({ above, upTo }: Stretch, offset: number): boolean {
  return above < offset && offset <= upTo;
}
