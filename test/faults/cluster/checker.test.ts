import { expect } from 'chai';
import type { Message } from '../../../packages/client/src/types.js';
import { check } from './checker.js';
import type { Entry, Happening } from './history.js';

const ROOM = 'the room';
const NODES = ['node0', 'node1'];

const message = (seq: number, senderId: string, messageId = `m${seq}`): Message => ({
  messageId,
  roomId: ROOM,
  seq,
  senderId,
  message: `text of ${messageId}`,
  sentAt: `2026-01-01T00:00:00.00${seq}Z`,
});

// Ada says m1 and m2, Ben m3; each reads.
const m1 = message(1, 'ada');
const m2 = message(2, 'ada');
const m3 = message(3, 'ben');
const all = [m1, m2, m3];

const sent = (attempt: number, device: string, { messageId }: Message, connection = 1): Happening => ({
  kind: 'sent',
  device,
  connection,
  attempt,
  roomId: ROOM,
  messageId,
  text: `text of ${messageId}`,
});
const acknowledged = (attempt: number, of: Message): Happening => ({
  kind: 'acknowledged',
  attempt,
  message: of,
});
const pushed = (device: string, of: Message): Happening => ({
  kind: 'pushed',
  device,
  connection: 1,
  message: of,
});
const connected = (device: string, from?: string, cursor = from ?? 'c0'): Happening => ({
  kind: 'connected',
  device,
  connection: 1,
  node: 'node0',
  from,
  cursor,
});
const mark = (device: string, userId: string, upTo: number): Happening => ({
  kind: 'mark pushed',
  device,
  roomId: ROOM,
  userId,
  upTo,
});
const reading = (attempt: number, device: string): Happening => ({
  kind: 'reading',
  device,
  attempt,
  roomId: ROOM,
});
const read = (attempt: number, upTo: number): Happening => ({ kind: 'read', attempt, upTo });
const final = (node: string, messages: readonly Message[], readUpTo = { ada: 3, ben: 3 }): Happening => ({
  kind: 'final',
  node,
  roomId: ROOM,
  messages,
  readUpTo,
});
const fetched = (after: 'answer' | 'push', expected: Message, ...messages: Message[]): Happening => ({
  kind: 'fetched',
  device: 'ada.0',
  after,
  expected,
  messages,
});

/** A history in which all is well, over faults: refused, unknown, sent again, resumed. */
const well: readonly Happening[] = [
  { kind: 'room', roomId: ROOM, members: ['ada', 'ben'] },
  { kind: 'device', device: 'ada.0', userId: 'ada' },
  { kind: 'device', device: 'ben.0', userId: 'ben' },
  connected('ada.0'),
  connected('ben.0'),
  sent(1, 'ada.0', m1),
  sent(2, 'ada.0', m2),
  acknowledged(1, m1),
  pushed('ben.0', m1),
  { kind: 'unknown', attempt: 2, code: 'disconnected' },
  { kind: 'closed', device: 'ada.0', connection: 1, code: 1006 },
  connected('ada.0', 'c7'),
  // It was taken, and is now pushed to its own device too.
  pushed('ada.0', m2),
  sent(3, 'ada.0', m2, 2),
  pushed('ben.0', m2),
  acknowledged(3, m2),
  fetched('answer', m2, m2),
  reading(4, 'ben.0'),
  read(4, 2),
  mark('ada.0', 'ben', 2),
  sent(5, 'ben.0', m3),
  acknowledged(5, m3),
  pushed('ada.0', m3),
  fetched('push', m3, m3),
  sent(6, 'ben.0', message(9, 'ben', 'refused')),
  { kind: 'refused', attempt: 6, code: 'overloaded' },
  sent(7, 'ben.0', message(9, 'ben', 'lost')),
  { kind: 'unknown', attempt: 7, code: 'unknown' },
  reading(8, 'ada.0'),
  read(8, 3),
  mark('ben.0', 'ada', 3),
  ...NODES.map((node) => final(node, all)),
];

const timed = (happenings: readonly Happening[]): Entry[] => happenings.map((what, at) => ({ at, ...what }));
const rulesBroken = (happenings: readonly Happening[]): string[] => [
  ...new Set(check(timed(happenings)).map(({ rule }) => rule)),
];

const without = (...gone: readonly Happening[]): Happening[] => well.filter((what) => !gone.includes(what));
/** The happening at a place of `well`, found by what it holds. */
function find(kind: Happening['kind'], fields: Record<string, unknown>): Happening {
  const found = well.find(
    (what) =>
      what.kind === kind &&
      Object.entries(fields).every(([name, value]) => Object.is(Reflect.get(what, name), value)),
  );
  if (!found) throw new Error(`there is no such ${kind}`);
  return found;
}
const replaced = (old: Happening, ...by: readonly Happening[]): Happening[] =>
  well.flatMap((what) => (what === old ? by : [what]));
/** The same with other histories at the end. */
const ending = (...finals: readonly Happening[]): Happening[] => [
  ...well.filter(({ kind }) => kind !== 'final'),
  ...finals,
];
const both = (messages: readonly Message[], marks?: { ada: number; ben: number }): Happening[] =>
  NODES.map((node) => final(node, messages, marks));

describe('the checker of histories', () => {
  it('finds nothing where all is well', () => {
    expect(check(timed(well))).to.deep.equal([]);
  });

  it('lets what is unknown be there or not', () => {
    const lost = { ...message(4, 'ben', 'lost') };
    expect(check(timed(ending(...both([...all, lost]))))).to.deep.equal([]);
  });

  it('lets a message that was sent again come after a later one', () => {
    const [late, early] = [
      { ...m1, seq: 2 },
      { ...m2, seq: 1 },
    ];
    const history: Happening[] = [
      ...well.slice(0, 5),
      sent(1, 'ada.0', m1),
      sent(2, 'ada.0', m2),
      { kind: 'refused', attempt: 1, code: 'overloaded' },
      sent(3, 'ada.0', m1),
      acknowledged(2, early),
      acknowledged(3, late),
      pushed('ben.0', early),
      pushed('ben.0', late),
      ...both([early, late], { ada: 2, ben: 0 }),
    ];
    expect(check(timed(history))).to.deep.equal([]);
  });

  const planted: Readonly<Record<string, readonly (readonly [what: string, history: Happening[]])[]>> = {
    'a room has one order, the same for all': [
      [
        'two nodes put messages in another order',
        ending(final('node0', all), final('node1', [{ ...m2, seq: 1 }, { ...m1, seq: 2 }, m3])),
      ],
      [
        'a push shows another text than the history',
        replaced(
          find('pushed', { device: 'ben.0', message: m1 }),
          pushed('ben.0', { ...m1, sentAt: 'then' }),
        ),
      ],
    ],
    'seq has no hole': [['a seq is left out', ending(...both([m1, m2, { ...m3, seq: 4 }]))]],
    'the order is that of time where one was answered before another was sent': [
      [
        'a later message comes first',
        ending(
          ...both([
            { ...m3, seq: 1 },
            { ...m1, seq: 2 },
            { ...m2, seq: 3 },
          ]),
        ),
      ],
    ],
    "a sender's own order is kept": [
      [
        'two messages of one connection have changed places',
        [
          ...well.slice(0, 5),
          sent(1, 'ada.0', m1),
          sent(2, 'ada.0', m2),
          acknowledged(2, { ...m2, seq: 1 }),
          acknowledged(1, { ...m1, seq: 2 }),
          ...both([
            { ...m2, seq: 1 },
            { ...m1, seq: 2 },
          ]),
        ],
      ],
    ],
    'what was acknowledged is there exactly once, at every node': [
      ['one node lacks it', ending(final('node0', all), final('node1', [m1, m2]))],
      ['it is there twice', ending(...both([...all, { ...m1, seq: 4 }]))],
    ],
    'what was refused and not sent again is not there': [
      ['it is there', ending(...both([...all, message(4, 'ben', 'refused')]))],
    ],
    'nothing is shown that nobody sent': [
      ['a message from nowhere', ending(...both([...all, message(4, 'ben', 'invented')]))],
      ['a message in the name of another', ending(...both([...all, message(4, 'ada', 'lost')]))],
    ],
    'nothing is shown that is not stored': [
      ['a push of what the log never had', [...well, pushed('ada.0', message(4, 'ben', 'lost'))]],
    ],
    'pushes come in order and without duplicate over reconnects': [
      ['one twice', [...well, pushed('ada.0', m3)]],
      [
        'two in the wrong order',
        replaced(find('pushed', { device: 'ben.0', message: m2 }), pushed('ben.0', m2), pushed('ben.0', m1)),
      ],
    ],
    'pushes come without gap over reconnects': [
      ['one in the middle is left out', without(find('pushed', { device: 'ben.0', message: m1 }))],
      ['the last one never comes', without(find('pushed', { device: 'ada.0', message: m3 }))],
    ],
    'identity repeats the cursor it was given': [
      ['another one', replaced(find('connected', { from: 'c7' }), connected('ada.0', 'c7', 'c8'))],
    ],
    'pushed read marks never go back': [['a smaller one', [...well, mark('ada.0', 'ben', 1)]]],
    'no read mark goes unpushed': [
      ['one that moved by reading', without(find('mark pushed', { device: 'ben.0' }))],
    ],
    'a query with a revision shows what was answered': [
      ['the page is empty', replaced(find('fetched', { after: 'answer' }), fetched('answer', m2))],
    ],
    'a query shows what was pushed to its connection': [
      ['the page is empty', replaced(find('fetched', { after: 'push' }), fetched('push', m3))],
    ],
    'answered read marks never go back': [
      ['a smaller one is answered later', [...well, reading(9, 'ada.0'), read(9, 2)]],
    ],
    'an answered read mark is kept, at every node': [
      ['one node has an older one', ending(final('node0', all), final('node1', all, { ada: 2, ben: 3 }))],
    ],
    'every error is one that the contract allows, and what was due came': [
      [
        'an internal error',
        [...well, { kind: 'error', device: 'ada.0', request: 'send message', code: 'internal' }],
      ],
      ['something is overdue', [...well, { kind: 'overdue', what: 'an answer' }]],
    ],
  };
  for (const [rule, histories] of Object.entries(planted))
    for (const [what, history] of histories)
      it(`finds that ${rule}: ${what}`, () => {
        expect(rulesBroken(history)).to.include(rule);
      });
});
