import { expect } from 'chai';
import fc from 'fast-check';
import { type CommandOf, decideCommand } from '../../src/domain/commands.js';
import { validate } from '../../src/domain/contract.js';
import type { Facts } from '../../src/domain/defineCommand.js';
import { foldFor, type NewEvent, type Recorded, type State } from '../../src/domain/events.js';
import { roomIdOf } from '../../src/domain/ids.js';
import { report as reportRequest } from '../../src/domain/moderation/reports.js';
import type { RoomState, UserState } from '../../src/domain/streams.js';
import { earlierMessage, factsOf } from '../support/facts.js';
import { runs } from '../support/lanes.js';

const [ada, bob, eve] = [
  '00000000-0000-4000-8000-00000000000a',
  '00000000-0000-4000-8000-00000000000b',
  '00000000-0000-4000-8000-00000000000e',
];
const roomId = roomIdOf(ada, bob);
const START = Date.parse('2026-01-01T00:00:00.000Z');
const HOUR_MS = 60 * 60_000;
const DAY_MS = 24 * HOUR_MS;
const at = (ms: number): string => new Date(START + ms).toISOString();

/** The stream of a reporter, as its writer makes it. */
class Reporter {
  readonly events: Recorded[] = [];
  readonly #fold = foldFor(`user:${ada}`);
  state = { ...this.#fold.initial, registered: true } as UserState; // Of a user's stream.

  /** What the command is answered with at this time, or the code of the refusal. */
  run(command: CommandOf<'record report' | 'record decision'>, ms: number, known: Partial<Facts> = {}) {
    const before = JSON.stringify(this.state);
    const decision = decideCommand(command, this.state, factsOf({ now: at(ms), ...known }));
    expect(JSON.stringify(this.state)).to.equal(before);
    if ('refused' in decision) return decision.refused;
    for (const event of decision.events) {
      const place = { partition: 0, offset: this.events.length, version: this.events.length + 1 };
      const recorded = { ...(event as NewEvent), ...place, actor: ada, recordedAt: at(ms), commandId: 'c' };
      this.events.push(recorded);
      this.state = this.#fold.evolve(this.state as State, recorded) as UserState; // Of a user's stream.
    }
    return decision.answer;
  }
}

const report = (id: number | string, more: object = {}) =>
  ({ kind: 'record report', actor: ada, reportId: `r${id}`, roomId, category: 'spam', ...more }) as const;
const decide = (id: number | string, note: string | null = 'why') =>
  ({ kind: 'record decision', reporter: ada, reportId: `r${id}`, by: eve, decision: {}, note }) as const;

describe('a report', () => {
  it('is one of 20 a day; one more is rate_limited, and may come when the first is a day old', () => {
    const reporter = new Reporter();
    for (let i = 0; i < 20; i++)
      expect(reporter.run(report(i), i * HOUR_MS)).to.deep.equal({ isKnown: false });
    expect(reporter.run(report(20), 20 * HOUR_MS)).to.containSubset({
      code: 'rate_limited',
      details: { retryAfterMs: 4 * HOUR_MS },
    });
    expect(reporter.run(report(3), 20 * HOUR_MS), 'a repeat is no report more').to.deep.equal({
      isKnown: true,
    });
    expect(reporter.run(report(20), DAY_MS - 1)).to.include({ code: 'rate_limited' });
    expect(reporter.run(report(20), DAY_MS)).to.deep.equal({ isKnown: false });
    expect(reporter.run(report(21), DAY_MS)).to.include({ code: 'rate_limited' });
  });

  it('is recorded with what is reported, in the reporter’s stream', () => {
    const reporter = new Reporter();
    const more = {
      messageIds: ['m'],
      seqs: [1],
      evidence: [{ seq: 1, senderId: bob }],
      userId: bob,
      note: 'Look',
    };
    reporter.run(report(1, more), 0);
    const { kind: _, actor: __, ...data } = report(1, more);
    expect(reporter.events).to.containSubset([{ type: 'MessageReported', stream: `user:${ada}`, data }]);
  });

  it('of a user who is unknown or erased is not_found, and of an erased reporter refused', () => {
    const reporter = new Reporter();
    const nobody = { exists: () => false };
    expect(reporter.run(report(1, { userId: bob }), 0, nobody)).to.include({ code: 'not_found' });
    reporter.state = { registered: true, online: false, erased: true };
    expect(reporter.run(report(1), 0)).to.include({ code: 'unauthenticated' });
    expect(reporter.events).to.deep.equal([]);
  });

  it('keeps these promises in any order: 20 in any day, each id once a day, and a small state', () => {
    const step = fc.record({
      id: fc.nat(60),
      wait: fc.nat(3 * HOUR_MS),
      does: fc.constantFrom('report', 'decide'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const reporter = new Reporter();
        let now = 0;
        const made: { id: number; at: number }[] = [];
        for (const { id, wait, does } of steps) {
          now += wait;
          if (does === 'decide') {
            const before = reporter.events.filter(({ type }) => type === 'ReportDecided').length;
            reporter.run(decide(id), now);
            expect(reporter.run(decide(id), now)).to.deep.equal({ isKnown: true });
            const after = reporter.events.filter(({ type }) => type === 'ReportDecided').length;
            expect(after - before).to.be.at.most(1);
            continue;
          }
          const today = made.filter((one) => one.at > now - DAY_MS);
          const answer = reporter.run(report(id), now);
          if (today.some((one) => one.id === id)) expect(answer).to.deep.equal({ isKnown: true });
          else if (today.length >= 20) expect(answer).to.include({ code: 'rate_limited' });
          else {
            expect(answer).to.deep.equal({ isKnown: false });
            made.push({ id, at: now });
          }
        }
        expect(reporter.state.reports?.length ?? 0).to.be.at.most(20);
        const fold = foldFor(`user:${ada}`);
        const initial: State = { ...fold.initial, registered: true } as UserState;
        const refolded = reporter.events.reduce<State>((state, event) => fold.evolve(state, event), initial);
        expect(refolded).to.deep.equal(reporter.state);
      }),
      { numRuns: runs(100) },
    );
  });
});

describe('the decision of a report', () => {
  it('is taken once, whoever else decides at the same time, also of an erased reporter', () => {
    const reporter = new Reporter();
    reporter.run(report(1), 0);
    reporter.state = { registered: true, online: false, erased: true };
    expect(reporter.run(decide(1), 5)).to.deep.equal({ isKnown: false });
    expect(reporter.run({ ...decide(1), by: bob }, 6)).to.deep.equal({ isKnown: true });
    expect(reporter.events.map(({ type }) => type)).to.deep.equal(['MessageReported', 'ReportDecided']);
  });
});

describe('the messages that are reported', () => {
  const members = { ...{ roomId, members: [ada, bob] as const, createdAt: at(0), active: [], marks: {} } };
  const room: RoomState = {
    exists: true,
    roomType: 'PRIVATE',
    ...members,
    lastSeq: 2,
    erased: [],
    added: [],
    contacts: [],
    blocks: [],
    pins: [],
  };
  const sent = (seq: number, more: object = {}) =>
    earlierMessage({ senderId: bob, seq, sentAt: at(0), text: '', ...more });
  const find = (actor: string, ids: string[], state: RoomState = room) =>
    decideCommand(
      { kind: 'find messages', actor, roomId, messageIds: ids },
      state,
      factsOf({
        message: ({ messageId }) =>
          messageId === 'm1' ? sent(1) : messageId === 'm2' ? sent(2, { deleted: { by: bob } }) : undefined,
      }),
    );

  it('are found in their order by a member, who is told which are deleted, and nothing is recorded', () => {
    const messages = [
      { seq: 2, senderId: bob, isDeleted: true },
      { seq: 1, senderId: bob, isDeleted: false },
    ];
    expect(find(ada, ['m2', 'm1'])).to.deep.equal({ events: [], answer: { messages } });
  });

  it('are not_found for others, in a room that does not exist, and if one of them does not exist', () => {
    const refusals = [
      find(eve, ['m1']),
      find(ada, ['m1'], { exists: false, added: [], contacts: [], blocks: [] }),
      find(ada, ['m1', 'm3']),
    ];
    for (const found of refusals) expect(found).to.containSubset({ refused: { code: 'not_found' } });
  });
});

describe('the request of a report', () => {
  const whole = { reportId: ada, roomId, messageIds: [eve], userId: bob, category: 'other', note: 'Why' };
  const pathsOf = (change: object): string[] => {
    try {
      validate(reportRequest.data, { ...whole, ...change });
      return [];
    } catch (error) {
      return (error as { details: { fields: { path: string }[] } }).details.fields.map(({ path }) => path);
    }
  };

  it('names what is wrong', () => {
    const without = (...fields: string[]) => Object.fromEntries(fields.map((field) => [field, undefined]));
    expect(pathsOf({})).to.deep.equal([]);
    const { roomId: _, messageIds: __, ...ofUser } = whole;
    expect(validate(reportRequest.data, ofUser)).to.deep.equal(ofUser);
    expect(pathsOf({ category: 'rude' })).to.deep.equal(['category']);
    expect(pathsOf({ reportId: 'x' })).to.deep.equal(['reportId']);
    expect(pathsOf({ messageIds: [] })).to.deep.equal(['messageIds']);
    expect(pathsOf({ messageIds: Array.from({ length: 21 }, () => eve) })).to.deep.equal(['messageIds']);
    for (const note of ['', ' \u2003\n', 'a'.repeat(1001), '\ud800', '😀'.repeat(1001)])
      expect(pathsOf({ note }), JSON.stringify(note)).to.deep.equal(['note']);
    expect(pathsOf({ note: '😀'.repeat(1000) })).to.deep.equal([]);
    expect(pathsOf({ other: 1 })).to.deep.equal(['other']);
    expect(pathsOf(without('category'))).to.deep.equal(['category']);
    const { roomId: ___, ...noRoom } = whole;
    expect(() => validate(reportRequest.data, noRoom)).to.throw(/room of the messages/);
    const { userId: ____, ...nothing } = ofUser;
    expect(() => validate(reportRequest.data, nothing)).to.throw(/must be given/);
  });
});
