import { z } from 'zod';
import { badRequest, forbidden, type ParleyError, utf8Length } from '../../base/errors.js';
import { Id, textOf } from '../fields.js';
import { type Group, membersOf } from '../groups/groupState.js';
import { MESSAGE_CODE_POINTS, MESSAGE_DATA_BYTES, MESSAGE_MENTIONS } from '../limits.js';
import type { Room } from '../streams.js';

/** The body of a message: its text, whom it mentions, and the integrator's data. */

const MessageText = textOf(MESSAGE_CODE_POINTS);

const EVERYBODY = 'all';

const Mentions = z
  .array(z.string().toLowerCase())
  .check(({ value: users, issues }) => {
    if (users.length === 1 && users[0] === EVERYBODY) return;
    const wrong = users.findIndex((user) => !Id.safeParse(user).success);
    if (wrong >= 0)
      issues.push({ code: 'custom', message: 'must be a user id', input: users, path: [wrong] });
  })
  .meta({ description: `At most ${MESSAGE_MENTIONS} user ids of members, or \`["all"]\`.` });

/** The fields of a new text. */
export const MessageBodyFields = { message: MessageText, mentions: Mentions.exactOptional() } as const;

const bytes = MESSAGE_DATA_BYTES.toLocaleString('en-US');

/** Takes the very object that was parsed, because a copy would lose a key such as `__proto__`. */
const AnyData = z
  .unknown()
  .check(({ value: data, issues }) => {
    const add = (message: string) => issues.push({ code: 'custom', message, input: data });
    try {
      if (typeof data !== 'object' || data === null || Array.isArray(data)) add('must be an object');
      else if (utf8Length(JSON.stringify(data)) > MESSAGE_DATA_BYTES)
        add(`must be at most ${bytes} bytes as JSON`);
    } catch {
      // It was parsed from JSON, so that only its depth can be at fault.
      add('is nested too deeply');
    }
  })
  .meta({
    type: 'object',
    description: `An object of the application’s own, at most ${bytes} bytes as JSON; returned unchanged.`,
  });

// The check lets only objects pass.
export const MessageData = AnyData as unknown as z.ZodType<Record<string, unknown>, Record<string, unknown>>;

/** The mentions as they are stored, each once; none is no field. */
export function checkMentions(
  room: Room | Group,
  mentions: readonly string[] = [],
): { readonly mentions?: string[] } | { readonly refused: ParleyError } {
  const users = [...new Set(mentions)];
  if (users.length === 0) return {};
  if (users.length > MESSAGE_MENTIONS)
    return { refused: forbidden(`a message mentions at most ${MESSAGE_MENTIONS} users`, 'too_many') };
  const stranger = users[0] === EVERYBODY ? -1 : users.findIndex((user) => !isMember(room, user));
  if (stranger < 0) return { mentions: users };
  const message = 'must be members of the room';
  return { refused: badRequest(`mentions ${message}`, [{ path: 'mentions', message }]) };
}

const isMember = (room: Room | Group, user: string): boolean =>
  room.roomType === 'PRIVATE'
    ? (room.members as readonly string[]).includes(user)
    : membersOf(room).roleOf(user) !== undefined;

/** Whether a message with these mentions mentions the user. */
export const isMentioned = (mentions: readonly string[], user: string): boolean =>
  mentions.includes(user) || mentions.includes(EVERYBODY);

/** Whether stored mentions are those of a repeated command. */
export function sameMentions(stored: readonly string[] = [], given: readonly string[] = []): boolean {
  const users = new Set(given);
  return users.size === stored.length && stored.every((user) => users.has(user));
}

/** Whether stored data is that of a repeated command, whatever the order of its keys. */
export function sameData(stored: string | null | undefined, given: object | undefined): boolean {
  if (given === undefined || typeof stored !== 'string') return given === undefined && stored === undefined;
  return ordered(JSON.parse(stored)) === ordered(given);
}

/** The JSON of a value with the keys of every object in ascending order. */
function ordered(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(ordered).join()}]`;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([key, each]) => `${JSON.stringify(key)}:${ordered(each)}`).join()}}`;
}
