/** The numbers of the contract. Lengths of text are in Unicode code points unless the name says otherwise. */

export const MESSAGE_CODE_POINTS = 8192;
export const USERNAME_CHARACTERS = { min: 3, max: 32 } as const;
export const PASSWORD_CHARACTERS = { min: 8, max: 256 } as const;
export const SEARCH_CHARACTERS = 32;

export const TOKEN_CHARACTERS = 1024;
export const CURSOR_CHARACTERS = 4096;
export const REVISION_CHARACTERS = 256;

/** Rows of one page: messages, chats. */
export const PAGE_ROWS = { default: 50, max: 200 } as const;
/** Rooms that one `join room` names. */
export const JOINED_ROOMS = 1000;

/** A sign of typing counts for this time. */
export const TYPING_MS = 6000;
