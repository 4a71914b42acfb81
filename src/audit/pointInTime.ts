import { setTimeout as delay } from 'node:timers/promises';
import { notFound } from '../base/errors.js';
import { Id, type Time } from '../domain/fields.js';
import { isGroupId, type RoomId, type StreamName, streamOf, type UserId } from '../domain/ids.js';
import {
  DEFAULT_PREFERENCES,
  type OnlineInfo,
  type Preferences,
  type User,
} from '../domain/userMessageChat.js';
import {
  type ChatRow,
  chatsModel,
  chatsProjection,
  hasChat,
  type OpenChatRow,
} from '../projections/models/chatRows.js';
import { preferencesModel, preferencesProjection } from '../projections/models/contacts.js';
import { membershipsModel } from '../projections/models/membershipRows.js';
import {
  messageOf,
  messagesModel,
  messagesProjection,
  openMessages,
} from '../projections/models/messageRows.js';
import { statesModel, statesProjection, streamsModel } from '../projections/models/streamIndex.js';
import {
  type ContentOpener,
  openUsers,
  presenceModel,
  presenceProjection,
  requireUsers,
  usersModel,
  usersProjection,
} from '../projections/models/userRows.js';
import { type Engine, openReaderHere } from '../projections/store/engine.js';
import { ActiveReader } from '../projections/store/openReader.js';
import {
  type AnyModel,
  foldedBy,
  type Row,
  type RowReader,
  rowsUnder,
  tableOf,
} from '../projections/store/rowStore.js';
import { findUser } from '../vault/credentials.js';
import { type OpenVault, openVault } from '../vault/openVault.js';
import { createPlaintextCache, createTextOpener } from '../vault/textOpener.js';
import { type At, eventsUntil, type StreamSource } from './events/eventFilter.js';
import {
  NAMES_ONLY,
  type RoomInfo,
  type RoomSnapshot,
  RowsInMemory,
  readGroupAt,
  readGroupsOf,
} from './groupInTime.js';
import { type AuditedLog, openAuditedLog, openStoredRows } from './storedRows.js';
import { activeGenerations } from './verify/comparedModels.js';

/** Streams that are read concurrently. */
const CONCURRENT_STREAMS = 16;

/** The log and the rows of users. Rows only tell which streams to read. */
export interface UserSource extends StreamSource {
  readonly rows: RowReader;
}

/** The fields of a room that never change. */
const roomOf = ({ roomId, members, createdAt }: OpenChatRow): RoomInfo => ({
  roomId,
  roomType: 'PRIVATE',
  memberIds: members,
  createdAt,
});

/** Undefined: all that is in the log now, whatever the clock of the node that wrote it said. */
const atTime = (time: Time | undefined): At | undefined => (time === undefined ? undefined : { time });

// No names: they are for searches, which do not exist here.
const profiles = usersProjection({ notes: async () => [] });

/** Folds a user's profile, presence, preferences and decision state at a time, from the user's own stream. */
async function foldUserRows(
  source: StreamSource,
  userId: UserId,
  time: Time | undefined,
): Promise<RowsInMemory> {
  const rows = new RowsInMemory([profiles, presenceProjection, preferencesProjection, statesProjection]);
  for await (const event of eventsUntil(source, streamOf('user', userId), atTime(time))) rows.fold(event);
  return rows;
}

/** What a user and another one were to each other at that time. */
interface TieThen {
  readonly other: UserId;
  readonly isFriend: boolean;
  readonly isBlocked: boolean;
}

/** The user's friends and those whom the user blocked at that time, by id; without friends who were erased by then. */
async function readTiesAt(source: UserSource, userId: UserId, time: Time | undefined): Promise<TieThen[]> {
  const { rows } = source;
  const tieAt = async ({ key, value: now }: Row<ChatRow>): Promise<TieThen | undefined> => {
    if (now === null || !now.members.includes(userId)) return undefined;
    // A pair that has no such tie now, and of which none has ended, never had one.
    if (!now.hasEnded && now.added.length + now.blocks.length === 0) return undefined;
    const then = new RowsInMemory([chatsProjection]);
    for await (const event of eventsUntil(source, streamNamed(key), atTime(time))) {
      then.fold(event);
      // Ties of which none has ended only grow: what is there by now stays so.
      const pair = then.get(chatsModel, key);
      const isFriend = now.added.length === 0 || (pair?.added.length ?? 0) > 0;
      if (!now.hasEnded && isFriend && pair?.blocks.length === now.blocks.length) break;
    }
    const pair = then.get(chatsModel, key);
    const other = pair?.members.find((member) => member !== userId);
    if (pair === undefined || other === undefined) return undefined;
    const profile = (await rows.get(usersModel, [other])).get(other)?.value;
    const isErased = profile?.erased === true && (await wasErased(source, other, time));
    const isFriend = pair.added.length > 0 && !isErased;
    return { other, isFriend, isBlocked: pair.blocks.includes(userId) };
  };
  const ties = await mapRows(rowsUnder(rows, chatsModel, 'members', userId), tieAt);
  return ties.sort((a, b) => (a.other < b.other ? -1 : 1));
}

/** The private rooms that were active for the user at that time. */
async function readRoomsAt(source: UserSource, userId: UserId, time: Time | undefined): Promise<RoomInfo[]> {
  const { rows, log } = source;
  const roomAt = async ({ key }: Row<unknown>): Promise<RoomInfo | undefined> => {
    const then = new RowsInMemory([chatsProjection]);
    for await (const event of eventsUntil(source, streamNamed(key), atTime(time))) {
      then.fold(event);
      const chat = then.get(chatsModel, key);
      // Later events do not change the room's own fields.
      if (chat && hasChat(chat) && chat.active[userId] !== undefined) return roomOf(chat);
    }
    return undefined;
  };
  const found: RoomInfo[] = [];
  for (let partition = 0; partition < log.partitions; partition++)
    found.push(...(await mapRows(rowsUnder(rows, chatsModel, 'changed', `${userId}/${partition}`), roomAt)));
  return found;
}

async function wasErased(source: StreamSource, userId: UserId, time: Time | undefined): Promise<boolean> {
  const rows = await foldUserRows(source, userId, time);
  const state = rows.get(statesModel, streamOf('user', userId))?.state;
  return state !== undefined && 'erased' in state && state.erased === true;
}

// Rows of chats have their streams' names as keys.
const streamNamed = (key: string): StreamName => key as StreamName;

async function mapRows<R, T>(
  pages: AsyncIterable<readonly Row<R>[]>,
  work: (row: Row<R>) => Promise<T | undefined>,
): Promise<T[]> {
  const found: T[] = [];
  for await (const page of pages)
    for (let at = 0; at < page.length; at += CONCURRENT_STREAMS)
      for (const one of await Promise.all(page.slice(at, at + CONCURRENT_STREAMS).map(work)))
        if (one !== undefined) found.push(one);
  return found;
}

/** A user at a point in time, with the rooms that were active for them. */
export interface UserSnapshot extends OnlineInfo {
  readonly user: User;
  readonly friends: readonly User[];
  /** The users whom this user blocked. */
  readonly blocked: readonly User[];
  readonly preferences: Preferences;
  readonly rooms: readonly RoomInfo[];
}

/**
 * The log, the rows, and the opener of texts. Keys count as they are now, so an erased user's texts stay
 * closed. The models of users and chats must have folded the time asked for.
 */
export interface SnapshotSource extends UserSource {
  readonly open: ContentOpener;
}

/**
 * Reads a room at a point in time, by default now, folded from the log by the live folds. Rejects with `not_found` if the
 * room or the message did not exist then.
 */
export async function readRoomAt(
  source: SnapshotSource,
  roomId: RoomId,
  at: At | undefined,
): Promise<RoomSnapshot> {
  if (isGroupId(roomId)) return readGroupAt(source, roomId, at);
  const stream = streamOf('room', roomId);
  const rows = new RowsInMemory([chatsProjection, messagesProjection]);
  for await (const event of eventsUntil(source, stream, at)) rows.fold(event);
  const chat = rows.get(chatsModel, stream);
  if (!chat || !hasChat(chat)) throw notFound('the room did not exist then');
  if (at && 'seq' in at && chat.lastMessage?.seq !== at.seq)
    throw notFound('the room has no message with this number');
  const messages = rows.all(messagesModel).flatMap((row) => messageOf(row) ?? []);
  return {
    room: roomOf(chat),
    members: await requireUsers(source, chat.members, NAMES_ONLY),
    messages: await openMessages(source.open, messages),
    readUpTo: chat.marks,
  };
}

/** Reads a user at a point in time, by default now. Rejects with `not_found` if the user did not exist then. */
export async function readUserAt(
  source: SnapshotSource,
  userId: UserId,
  time: Time | undefined,
): Promise<UserSnapshot> {
  const rows = await foldUserRows(source, userId, time);
  const row = rows.get(usersModel, userId);
  const [user] = row ? await openUsers(source.open, [row]) : [];
  if (!user) throw notFound('the user did not exist then');
  const { isOnline, lastSeen } = rows.get(presenceModel, userId) ?? { isOnline: false, lastSeen: null };
  const ties = await readTiesAt(source, userId, time);
  const named = (isWanted: (tie: TieThen) => boolean) =>
    requireUsers(
      source,
      ties.filter(isWanted).map(({ other }) => other),
      NAMES_ONLY,
    );
  return {
    user,
    friends: await named(({ isFriend }) => isFriend),
    blocked: await named(({ isBlocked }) => isBlocked),
    preferences: rows.get(preferencesModel, userId) ?? DEFAULT_PREFERENCES,
    rooms: [
      ...(await readRoomsAt(source, userId, time)),
      ...(await readGroupsOf(source, userId, atTime(time))),
    ].sort((a, b) => (a.roomId < b.roomId ? -1 : 1)),
    isOnline,
    lastSeen,
  };
}

/** A running server folds the rest of the log within this time. */
const FOLD_WAIT_MS = 5000;
const POLL_MS = 50;

/** An existing system, read beside a running server or without one. */
interface StoredSystem {
  readonly engine: Engine;
  readonly masterKey: Buffer;
}

/** The read models lack a part of the log, and no server folds it. */
class ReadModelsBehind extends Error {
  override readonly name = 'ReadModelsBehind';
}

/** Reads like `readRoomAt`. Throws `ReadModelsBehind`, and the errors of log, vault and read models. */
export const readStoredRoomAt = (
  system: StoredSystem,
  roomId: RoomId,
  at: At | undefined,
): Promise<RoomSnapshot> => withSources(system, (past) => readRoomAt(past, roomId, at));

/**
 * Reads like `readUserAt`. `user`: an id, or the name at present. Throws like `readStoredRoomAt`, and `not_found` for a
 * name that nobody has.
 */
export const readStoredUserAt = (
  system: StoredSystem,
  user: string,
  time: Time | undefined,
): Promise<UserSnapshot> =>
  withSources(system, async (past, credentials) => {
    const { success, data: id } = Id.safeParse(user);
    // An id is no user name: it is too long.
    return readUserAt(past, success ? id : await findUser(credentials, user), time);
  });

async function withSources<T>(
  { engine, masterKey }: StoredSystem,
  read: (past: SnapshotSource, credentials: OpenVault['credentials']) => Promise<T>,
): Promise<T> {
  const opened: (() => unknown)[] = [];
  try {
    const log = await openAuditedLog(engine);
    opened.push(() => log.close());
    const vault = await openVault({ engine, masterKey });
    opened.push(() => vault.close());
    const memory = createPlaintextCache();
    opened.push(() => memory.close());
    const stored = await openReaderHere(engine);
    opened.push(() => stored.close());
    const rows = new ActiveReader(stored.reader, await generationsIn(engine));
    const tables = readHere.map((model) => tableOf(rows.current(model)));
    const indexed = async (partition: number) =>
      foldedBy(await stored.checkpoints([partition]), tables, partition).size;
    await waitUntilFolded(log, indexed);
    const past = { log, rows, indexed, open: createTextOpener(vault.keys, memory) };
    return await read(past, vault.credentials);
  } finally {
    for (const close of opened.reverse()) await close();
  }
}

/** The models that are read here. */
const readHere: readonly AnyModel[] = [usersModel, chatsModel, membershipsModel, streamsModel];

/** The active generations, by model name. */
async function generationsIn(engine: Engine): Promise<Map<string, number>> {
  const stored = await openStoredRows(engine);
  try {
    const active = await activeGenerations(stored);
    return new Map(readHere.map((model) => [model.name, active.get(tableOf(model)) ?? 0]));
  } finally {
    await stored.close();
  }
}

/** Waits until the read models have folded everything that is in the log now. */
async function waitUntilFolded(
  log: AuditedLog,
  folded: (partition: number) => Promise<number>,
): Promise<void> {
  const until = performance.now() + FOLD_WAIT_MS;
  for (let partition = 0; partition < log.partitions; partition++) {
    const size = (await log.tail(partition))?.size ?? 0;
    while ((await folded(partition)) < size) {
      if (performance.now() > until)
        throw new ReadModelsBehind('the read models are behind the log: start the server, then try again');
      await delay(POLL_MS);
    }
  }
}
