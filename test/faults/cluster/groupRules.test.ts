import { expect } from 'chai';
import type { Message } from '../../../packages/client/src/types.js';
import type { Recorded } from '../../../src/domain/events.js';
import { check } from './checker.js';
import type { Entry, GroupRequest, Happening, Told } from './history.js';

const ROOM = 'the group';

const message = (seq: number, changes: Partial<Message> = {}): Message => ({
  ...{ messageId: `g${seq}`, roomId: ROOM, seq, senderId: 'ada' },
  ...{ message: `text of g${seq}`, sentAt: `2026-01-01T00:00:00.00${seq}Z`, ...changes },
});
const [g1, g2, g3] = [message(1), message(2), message(3)];
const edited = message(1, { message: 'edited', rev: 1 });
const now = { ...edited, reactions: [{ emoji: '👍', userIds: ['ben'], count: 1 }] };
const deleted = message(2, { message: null, deleted: { by: 'ada' } });

const device = (name: string, userId: string): Happening[] => [
  { kind: 'device', device: name, userId },
  { kind: 'connected', device: name, connection: 1, node: 'node0', from: undefined, cursor: 'c0' },
];
const sent = (attempt: number, from: string, { messageId }: Message): Happening => ({
  ...{ kind: 'sent', device: from, connection: 1, attempt, roomId: ROOM, messageId },
  text: `text of ${messageId}`,
});
const acknowledged = (attempt: number, of: Message): Happening => ({
  ...{ kind: 'acknowledged', attempt, message: of },
});
const pushed = (to: string, of: Message): Happening => ({
  ...{ kind: 'pushed', device: to, connection: 1, message: of },
});
const asked = (attempt: number, from: string, request: GroupRequest): Happening => ({
  ...{ kind: 'asked', device: from, change: attempt, attempt },
  ...request,
});
const done = (attempt: number, rev?: number): Happening => ({
  ...{ kind: 'done', attempt },
  ...(rev === undefined ? {} : { rev }),
});
const told = (to: string, what: Told): Happening => ({
  ...{ kind: 'told', device: to, roomId: ROOM, told: what },
});
const shown = (node: string, userId: string, messages: Message[] | undefined): Happening => ({
  ...{ kind: 'shown', node, roomId: ROOM, userId, messages },
});

/** An event as far as the rules look at it. */
const event = (type: string, actor: string, data: object): Recorded =>
  ({ type, actor, data: { roomId: ROOM, ...data } }) as unknown as Recorded;

const edit = (editId: string): GroupRequest => ({
  request: 'edit message',
  data: { roomId: ROOM, messageId: 'g1', editId, message: 'edited' },
});
const thumb = { seq: 1, userId: 'ben', emoji: '👍', on: true } as const;

const log = [
  event('GroupCreated', 'ada', {}),
  event('MemberJoined', 'ada', { userId: 'ada' }),
  event('MemberJoined', 'ada', { userId: 'ben' }),
  event('MessageSent', 'ada', { messageId: 'g1', seq: 1 }),
  event('MessageEdited', 'ada', { messageId: 'g1', seq: 1, editId: 'e1', rev: 1 }),
  event('ReactionChanged', 'ben', { messageId: 'g1', seq: 1, emoji: '👍', on: true }),
  event('MemberJoined', 'ada', { userId: 'cy' }),
  event('MessageSent', 'ada', { messageId: 'g2', seq: 2 }),
  event('MessageDeleted', 'ada', { messageId: 'g2', seq: 2, by: 'ada' }),
  event('MemberLeft', 'ben', { userId: 'ben' }),
  event('MessageSent', 'ada', { messageId: 'g3', seq: 3 }),
];
const logged = (events: readonly Recorded[]): Happening => ({ kind: 'logged', roomId: ROOM, events });
const withoutEvent = (type: Recorded['type']): Happening => logged(log.filter((one) => one.type !== type));

const end = (node: string): Happening[] => [
  shown(node, 'ada', [now, deleted, g3]),
  shown(node, 'ben', [now, deleted]),
  shown(node, 'cy', [deleted, g3]),
  shown(node, 'dan', undefined),
];

/** A history in which all is well: Cy joins behind the first message, and Ben leaves before the last. */
const well: readonly Happening[] = [
  ...device('ada.0', 'ada'),
  ...device('ben.0', 'ben'),
  ...device('cy.0', 'cy'),
  ...device('dan.0', 'dan'),
  ...device('cy.1', 'cy'),
  ...device('ben.0 anew', 'ben'),
  { kind: 'group', roomId: ROOM, history: 'joined', owner: 'ada', members: ['ada', 'ben'] },
  sent(1, 'ada.0', g1),
  acknowledged(1, g1),
  pushed('ben.0', g1),
  asked(2, 'ada.0', edit('e1')),
  done(2, 1),
  told('ben.0', { name: 'edit message', message: edited }),
  asked(3, 'ben.0', { request: 'react', data: { roomId: ROOM, messageId: 'g1', emoji: '👍', on: true } }),
  done(3),
  told('ada.0', { name: 'react', ...thumb }),
  sent(4, 'cy.0', message(9)),
  { kind: 'denied', attempt: 4, code: 'not_found' },
  asked(5, 'ada.0', { request: 'add members', data: { roomId: ROOM, userIds: ['cy'] } }),
  done(5),
  told('ben.0', { name: 'members' }),
  sent(6, 'ada.0', g2),
  acknowledged(6, g2),
  pushed('ben.0', g2),
  pushed('cy.0', g2),
  pushed('cy.1', g2),
  asked(7, 'ada.0', { request: 'delete message', data: { roomId: ROOM, messageId: 'g2' } }),
  done(7),
  told('ben.0', { name: 'delete message', seq: 2, by: 'ada' }),
  told('cy.0', { name: 'delete message', seq: 2, by: 'ada' }),
  told('cy.1', { name: 'delete message', seq: 2, by: 'ada' }),
  asked(8, 'ben.0', { request: 'leave group', data: { roomId: ROOM } }),
  done(8),
  asked(9, 'ben.0', edit('e9')),
  { kind: 'refused', attempt: 9, code: 'overloaded' },
  sent(10, 'ada.0', g3),
  acknowledged(10, g3),
  pushed('cy.0', g3),
  pushed('cy.1', g3),
  pushed('ben.0 anew', now),
  pushed('ben.0 anew', deleted),
  logged(log),
  ...end('node0'),
  ...end('node1'),
];

const timed = (happenings: readonly Happening[]): Entry[] => happenings.map((what, at) => ({ at, ...what }));
const rulesBroken = (happenings: readonly Happening[]): string[] => [
  ...new Set(check(timed(happenings)).map(({ rule }) => rule)),
];
const isSame = (a: Happening, b: Happening) => JSON.stringify(a) === JSON.stringify(b);
const without = (gone: Happening): Happening[] => well.filter((what) => !isSame(what, gone));
const withLog = (by: Happening): Happening[] => well.map((what) => (what.kind === 'logged' ? by : what));
const withShown = (by: Happening): Happening[] =>
  well.map((what) =>
    what.kind === 'shown' && by.kind === 'shown' && what.node === by.node && what.userId === by.userId
      ? by
      : what,
  );

describe('the checker of histories of groups', () => {
  it('finds nothing where all is well', () => {
    expect(check(timed(well))).to.deep.equal([]);
  });

  it('lets what was logged while everything was looked at be shown or not', () => {
    const late = logged([event('MessageSent', 'ada', { messageId: 'g4', seq: 4 })]);
    const tried: Happening[] = [
      sent(11, 'ada.0', message(4)),
      { kind: 'unknown', attempt: 11, code: 'unknown' },
    ];
    expect(rulesBroken([...well, ...tried, late])).to.deep.equal([]);
    const seen = withShown(shown('node1', 'ada', [now, deleted, g3, message(4)]));
    expect(rulesBroken([...seen, ...tried, late])).to.deep.equal([]);
  });

  const planted: Readonly<
    Record<string, readonly (readonly [what: string, history: readonly Happening[]])[]>
  > = {
    'what was acknowledged in a group is in its log, in its place': [
      ['the log lacks it', withLog(withoutEvent('MessageSent'))],
    ],
    'what was answered of a change is in the log': [
      ['the log lacks the edit', withLog(withoutEvent('MessageEdited'))],
      ['the log lacks the deletion', withLog(withoutEvent('MessageDeleted'))],
      ['the log lacks the leaving', withLog(withoutEvent('MemberLeft'))],
    ],
    'an edit or a deletion is in the log once': [
      [
        'a deletion is there twice',
        withLog(logged([...log, ...log.filter(({ type }) => type === 'MessageDeleted')])),
      ],
    ],
    'the last reaction that was answered holds': [
      ['the log lacks it', withLog(withoutEvent('ReactionChanged'))],
    ],
    'an edit that was refused is not in the log': [
      [
        'it is there',
        withLog(
          logged([...log, event('MessageEdited', 'ben', { messageId: 'g1', seq: 1, editId: 'e9', rev: 2 })]),
        ),
      ],
    ],
    'who is denied something in a group had left, or the message was deleted': [
      [
        'a member is denied',
        [...well, sent(12, 'ada.0', message(8)), { kind: 'denied', attempt: 12, code: 'forbidden' }],
      ],
      [
        'a message that is there is gone',
        [...well, asked(12, 'ada.0', edit('e2')), { kind: 'denied', attempt: 12, code: 'conflict' }],
      ],
    ],
    'every node shows members what lies in their windows, as it is now': [
      ['an erased text', withShown(shown('node1', 'cy', [message(2, { message: null, erased: true }), g3]))],
      ['a deleted text', withShown(shown('node1', 'cy', [g2, g3]))],
      ['a message from before somebody joined', withShown(shown('node1', 'cy', [now, deleted, g3]))],
      ['a message from after somebody left', withShown(shown('node1', 'ben', [now, deleted, g3]))],
      ['the text of before an edit', withShown(shown('node1', 'ada', [g1, deleted, g3]))],
      ['an empty group for a stranger', withShown(shown('node1', 'dan', []))],
    ],
    'messages of a group are pushed to its members, and to nobody else': [
      ['one who has left', [...well, pushed('ben.0', g3)]],
      ['a member misses one', without(pushed('cy.0', g3))],
    ],
    'what is said of a message is told to those who see it': [
      [
        'a reaction to a message from before somebody joined',
        [...well, told('cy.0', { name: 'react', ...thumb })],
      ],
      ['a stranger hears of members', [...well, told('dan.0', { name: 'members' })]],
    ],
    'nothing is shown that nobody sent': [
      [
        'a text that nobody wrote',
        [...well, told('ben.0', { name: 'edit message', message: { ...edited, message: 'made up' } })],
      ],
    ],
    'a device shows each message of a group as it is now': [
      [
        'a device that only listens was never told of a deletion',
        without(told('cy.1', { name: 'delete message', seq: 2, by: 'ada' })),
      ],
    ],
  };
  for (const [rule, histories] of Object.entries(planted))
    for (const [what, history] of histories)
      it(`finds that ${rule}: ${what}`, () => {
        expect(rulesBroken(history)).to.include(rule);
      });
});
