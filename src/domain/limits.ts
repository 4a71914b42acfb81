/** The numbers of the contract. Lengths of text are in Unicode code points unless the name says otherwise. */

export const MESSAGE_CODE_POINTS = 8192;
/** The integrator's data of a message, as JSON in UTF-8. */
export const MESSAGE_DATA_BYTES = 4096;
export const MESSAGE_MENTIONS = 50;
export const MESSAGE_EDITS = 50;
/** Reactions of one user to a message, and the different emoji that a message has. */
export const MESSAGE_REACTIONS = { ofOneUser: 10, emoji: 50 } as const;
/** Users whom a message shows for each emoji. */
export const SHOWN_REACTING = 20;
export const ROOM_PINS = 50;
/** Messages above my mark that mention me, which a chat shows. */
export const SHOWN_MENTIONS = 100;

/** The length of a text as this contract counts it. A lone surrogate may be counted as none: texts have none. */
export function countCodePoints(text: string): number {
  let n = text.length;
  for (let i = 0; i < text.length - 1; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit <= 0xdbff) n--;
  }
  return n;
}

export const USERNAME_CHARACTERS = { min: 3, max: 32 } as const;
export const PASSWORD_CHARACTERS = { min: 8, max: 256 } as const;
export const SEARCH_CHARACTERS = 32;

/** The most code points of a profile's texts. */
export const PROFILE_CODE_POINTS = { displayName: 64, about: 500, status: 80 } as const;
/** The most code points of a reason that a moderator gives. */
export const REASON_CODE_POINTS = 1000;
/** The most characters of a language tag. */
export const LOCALE_CHARACTERS = 35;
export const TOKEN_CHARACTERS = 8192;
/** The host application's own id of a user, which its issuer has as the subject. */
export const HOST_ID_CHARACTERS = 128;
export const CURSOR_CHARACTERS = 4096;
export const REVISION_CHARACTERS = 256;

/** Server keys that are valid at once. */
export const MOST_SERVER_KEYS = 100;
export const KEY_NAME_CODE_POINTS = 64;
/** Requests a second of one server key, and at once. */
export const SERVER_KEY_RATE = { rate: 100, burst: 500 } as const;

/** Rows of one page: messages, chats. */
export const PAGE_ROWS = { default: 50, max: 200 } as const;
/** The most participants that a chat shows, and marks of members that are told to others. */
export const SHOWN_MEMBERS = 32;
/** The users whom one user has blocked. */
export const MOST_BLOCKS = 10_000;
/** Users whom one command adds to a group. */
export const ADDED_MEMBERS = 100;
export const GROUP_NAME_CODE_POINTS = 100;
export const ABOUT_CODE_POINTS = 500;
/** Groups that a user is in. */
export const USER_GROUPS = 1000;
/** Users who are shown typing in a room at once. */
export const SHOWN_TYPING = 8;
/** A page of an answer ends at this size, with at least one row. */
export const PAGE_BYTES = 256 * 1024;

/** Rooms that one `join room` names. */
export const JOINED_ROOMS = 1000;

/** A connection must identify within this time, else it is closed. */
export const IDENTIFY_TIMEOUT_MS = 10_000;

/** While this much output waits for a client, none of its further requests is begun. */
export const SLOW_READER_WAITING_BYTES = 1024 * 1024;

/** A client with `SLOW_READER_WAITING_BYTES` waiting of which none leave for this time is closed. */
export const SLOW_READER_STUCK_MS = 10_000;

/** A client with this much output waiting is closed at the next push. */
export const SLOW_READER_MAX_WAITING_BYTES = 8 * 1024 * 1024;

/** The limit of a client's frame. The WebSocket library closes with 1009 for a larger one. */
export const MAX_FRAME_BYTES = 128 * 1024;

/** A client that was silent for this long is sent a ping. */
export const PING_AFTER_MS = 30_000;

/** A client from which nothing came for this long after the ping is disconnected. */
export const PONG_WAIT_MS = 30_000;

/** After a write, all changes of a user's presence within this time are written as one, at its end. */
export const PRESENCE_CALM_MS = 2000;

export const MAX_BODY_BYTES = 64 * 1024;

/** Subscriptions of the host, the rooms that one names, and the events of one delivery. */
export const MOST_SUBSCRIPTIONS = 50;
export const SUBSCRIPTION_ROOMS = 100;
export const SUBSCRIPTION_BATCH = 100;

/** The friends, and the chats, that a sign-in shows. */
export const FIRST_ROWS = 50;

/** Messages that one report names, reports of a user within a day, and the length of a note to or of moderators. */
export const REPORTED_MESSAGES = 20;
export const REPORTS_A_DAY = 20;
export const NOTE_CODE_POINTS = 1000;
