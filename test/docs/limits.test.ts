import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { MAX_USER_CONNECTIONS } from '../../src/base/rateLimits.js';
import { readConfig } from '../../src/base/settings.js';
import * as limits from '../../src/domain/limits.js';
import { repository } from '../deploy/dockerfile.js';

const number = (n: number): string => n.toLocaleString('en-US');
const range = ({ min, max }: { readonly min: number; readonly max: number }): string =>
  `${min}–${number(max)} characters`;
const most = (n: number, what = ''): string => `at most ${number(n)}${what}`;
const characters = (n: number): string => most(n, ' characters');
const kib = (bytes: number): string => `at most ${bytes / 1024} KiB`;
const pace = ({ rate, burst }: { readonly rate: number; readonly burst: number }, each: string): string =>
  `${rate} a ${each}, ${burst} at once`;

/** How the limit of each row begins, by the declarations. */
function expectedLimits(): Readonly<Record<string, string>> {
  const { RATE_LIMIT, AUTH_RATE_LIMIT, EDIT_WINDOW, DELETE_WINDOW, GROUP_SIZE } = readConfig({});
  if (RATE_LIMIT === 'off' || AUTH_RATE_LIMIT === 'off') throw new Error('there are no limits by default');
  expect(EDIT_WINDOW).to.equal(DELETE_WINDOW);
  const { PROFILE_CODE_POINTS: profile, MESSAGE_REACTIONS: reactions, PAGE_ROWS: page } = limits;
  return {
    'user name': range(limits.USERNAME_CHARACTERS),
    password: range(limits.PASSWORD_CHARACTERS),
    'display name': characters(profile.displayName),
    'about text of a user': characters(profile.about),
    'status of a user': characters(profile.status),
    'your own id of a user (`ext:…`)': range({ min: 1, max: limits.HOST_ID_CHARACTERS }),
    'text of a message: the maximum message length': range({ min: 1, max: limits.MESSAGE_CODE_POINTS }),
    '`data` of a message': most(limits.MESSAGE_DATA_BYTES, ' bytes'),
    'mentions in a message': most(limits.MESSAGE_MENTIONS),
    'edits of a message': most(limits.MESSAGE_EDITS),
    'time for an edit or a deletion': `${Number(EDIT_WINDOW) / 3_600_000} h`,
    'reactions of one user to a message': most(reactions.ofOneUser),
    'different emoji on a message': most(reactions.emoji),
    'pinned messages of a room': most(limits.ROOM_PINS),
    'messages or chats of one page': `${page.default}, at most ${page.max}`,
    'members of a group': most(GROUP_SIZE),
    'groups of a user': most(limits.USER_GROUPS),
    'users whom one request adds': most(limits.ADDED_MEMBERS),
    'name of a group': range({ min: 1, max: limits.GROUP_NAME_CODE_POINTS }),
    'about text of a group': characters(limits.ABOUT_CODE_POINTS),
    'blocked users of a user': most(limits.MOST_BLOCKS),
    'reports of a user within a day': most(limits.REPORTS_A_DAY),
    'messages in a report': most(limits.REPORTED_MESSAGES),
    'note of a report': characters(limits.NOTE_CODE_POINTS),
    'requests of a user on a node': pace(RATE_LIMIT, 'second'),
    'requests that check a password': pace(AUTH_RATE_LIMIT, 'minute'),
    'requests of a server key on a node': pace(limits.SERVER_KEY_RATE, 'second'),
    'connections of a user on a node': most(MAX_USER_CONNECTIONS),
    'a frame of the socket': kib(limits.MAX_FRAME_BYTES),
    'a body over REST': kib(limits.MAX_BODY_BYTES),
    'server keys': most(limits.MOST_SERVER_KEYS),
    subscriptions: most(limits.MOST_SUBSCRIPTIONS),
    'rooms of a subscription': most(limits.SUBSCRIPTION_ROOMS),
    'events of one delivery': most(limits.SUBSCRIPTION_BATCH),
  };
}

describe('docs/limits.md', () => {
  it('has the numbers of the declarations and of the settings', () => {
    const rows = new Map(
      Array.from(
        readFileSync(`${repository}/docs/limits.md`, 'utf8').matchAll(/^\| (.*?) \| (.*?) \|$/gm),
        ([, what = '', limit = '']) => [what, limit] as const,
      ).filter(([what]) => what !== 'what' && what !== '---'),
    );
    const expected = expectedLimits();
    expect([...rows.keys()]).to.have.members(Object.keys(expected));
    for (const [what, limit] of Object.entries(expected)) {
      const shown = rows.get(what) ?? '';
      expect(shown, what).to.match(new RegExp(`^${limit}(?:\\b|$)`));
    }
  });
});
