import type { RoomState, State } from '../store/storeState.js';
import type { ChatInfo, Happening } from '../store/storeTypes.js';
import type { Message, Preferences, User } from '../types.js';

/**
 * Whether a stored value is a state that `trimState` has made. Other scripts of the origin may have written anything, and
 * a page that trusts it may fail at every opening.
 */

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isFlag: Check = (value) => typeof value === 'boolean';
const isCount: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
export const isTime: Check = (value) => typeof value === 'string' && !Number.isNaN(Date.parse(value));
const isOneOf =
  (...values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value);
const isTrue = isOneOf(true);
const isMissing = isOneOf(undefined);
const either =
  (...checks: readonly Check[]): Check =>
  (value) =>
    checks.some((check) => check(value));
const optional = (check: Check): Check => either(isMissing, check);
const orNull = (check: Check): Check => either(isOneOf(null), check);
const isListOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const isSetOf =
  (check: Check): Check =>
  (value) =>
    value instanceof Set && [...value].every(check);
const isMapOf =
  (check: Check): Check =>
  (value) =>
    value instanceof Map && [...value].every(([key, one]) => isText(key) && check(one));
const isObject: Check = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The fields of any value; what is no object has none. */
export const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  isObject(value) ? (value as Readonly<Record<string, unknown>>) : {};

/** An object with these fields. The compiler asks for a check of each field of the type. */
const isMadeOf =
  <T extends object>(checks: { readonly [N in keyof T]-?: Check }): Check =>
  (value) => {
    const fields = fieldsOf(value);
    return isObject(value) && Object.entries<Check>(checks).every(([name, check]) => check(fields[name]));
  };

const isUser = isMadeOf<User>({
  ...{ userId: isText, username: orNull(isText), backgroundColor: isText, createdAt: isTime },
  ...{ displayName: optional(isText), about: optional(isText), status: optional(isText) },
  ...{
    locale: optional(isText),
    bot: optional(isTrue),
    suspended: optional(isTrue),
    erased: optional(isTrue),
  },
});

const isReaction = isMadeOf<NonNullable<Message['reactions']>[number]>({
  ...{ emoji: isText, userIds: isListOf(isText), count: isCount },
});

const isMessage = isMadeOf<Message>({
  ...{ messageId: isText, roomId: isText, seq: isCount, senderId: isText, message: orNull(isText) },
  ...{ replyTo: optional(isText), mentions: optional(isListOf(isText)), data: optional(isObject) },
  ...{ sentAt: isTime, rev: optional(isCount), editedAt: optional(isTime) },
  ...{ reactions: optional(isListOf(isReaction)), pinned: optional(isTrue), erased: optional(isTrue) },
  deleted: optional(isMadeOf<NonNullable<Message['deleted']>>({ by: isText })),
});

const isWindow: Check = (value) =>
  Array.isArray(value) && value.length === 2 && isCount(value[0]) && orNull(isCount)(value[1]);

const isWho = isOneOf('members', 'admins', undefined);
const ROLES = ['owner', 'admin', 'member'];

const isChat = isMadeOf<ChatInfo>({
  ...{ roomId: isText, roomType: isOneOf('PRIVATE', 'GROUP'), createdAt: isTime, request: optional(isTrue) },
  ...{ mutedUntil: optional(isTime), pinned: optional(isTrue), archived: optional(isTrue) },
  ...{ mentions: optional(isListOf(isCount)), pinnedMessages: optional(isListOf(isText)) },
  ...{
    name: optional(orNull(isText)),
    about: optional(isText),
    history: isOneOf('joined', 'all', undefined),
  },
  ...{ whoAdds: isWho, whoSends: isWho, role: isOneOf(...ROLES, undefined), members: optional(isCount) },
  windows: optional(isListOf(isWindow)),
});

type Named = Extract<Happening, { readonly userId: string }>;
const isHappening = either(
  isMadeOf<Extract<Named, { readonly kind: 'joined' | 'left' }>>({
    ...{ kind: isOneOf('joined', 'left'), userId: isText, at: isCount, by: isText },
  }),
  isMadeOf<Extract<Named, { readonly kind: 'role' }>>({
    ...{ kind: isOneOf('role'), userId: isText, at: isCount, by: isText },
    ...{ role: isOneOf(...ROLES), inherited: optional(isTrue) },
  }),
  isMadeOf<Extract<Happening, { readonly kind: 'changed' }>>({
    ...{ kind: isOneOf('changed'), at: isCount, by: isText, name: optional(isText) },
  }),
);

const isRoom = isMadeOf<RoomState>({
  ...{
    roomId: isText,
    chat: isChat,
    participants: isListOf(isText),
    told: isMapOf(isFlag),
    returns: isCount,
  },
  ...{ known: isListOf(isMessage), marks: isMapOf(isCount), wishedMark: isOneOf(0) },
  ...{ happenings: isListOf(isHappening), typing: isSetOf(() => false), isOpen: isOneOf(false) },
  ...{ pages: isOneOf('none'), focus: isMissing },
});

const isPreferences = isMadeOf<Preferences>({
  whoWrites: isOneOf('everyone', 'contacts'),
  whoInvites: isOneOf('everyone', 'contacts', 'nobody'),
  ...{ findable: isFlag, visible: isFlag, receipts: isFlag },
});

const isKeptState = isMadeOf<State>({
  connection: isMadeOf<{ state: 'new' }>({ state: isOneOf('new') }),
  ...{ me: isUser, users: isMapOf(isUser), erased: isSetOf(isText), friends: isSetOf(isText) },
  ...{ blocked: isSetOf(isText), preferences: isPreferences, rooms: isMapOf(isRoom) },
  presence: isMapOf(
    isMadeOf<{ state: unknown; lastSeen: unknown }>({ state: isOneOf('offline'), lastSeen: isTime }),
  ),
  ...{ stale: isSetOf(isText), waiting: isListOf(() => false), refused: isMapOf(() => false) },
  ...{
    changes: isMapOf(() => false),
    hasChats: isOneOf(false),
    hasFriends: isOneOf(false),
    isKept: isTrue,
  },
  ...{ nextChats: isMissing, nextArchived: isOneOf('', undefined) },
});

/** The value as a state, if it is one of this user. */
export function asKeptState(value: unknown, userId: string): State | undefined {
  if (!isKeptState(value)) return undefined;
  // Each field was checked.
  const state = value as State;
  const isWhole = [...state.rooms].every(([roomId, room]) => room.roomId === roomId);
  return state.me?.userId === userId && isWhole ? state : undefined;
}
