import { expect } from 'chai';
import fc from 'fast-check';
import {
  type EventFilter,
  filterFields,
  filterNames,
  findRanges,
  type Order,
  PointInTime,
  readTails,
} from '../../src/audit/events/eventFilter.js';
import {
  decodeCursor,
  encodeCursor,
  eventPage,
  type UnreadRange,
} from '../../src/audit/events/eventQuery.js';
import type { AuditKeys } from '../../src/audit/events/transcript.js';
import { eventTopics } from '../../src/domain/features.js';
import { streamsProjection } from '../../src/projections/models/streamIndex.js';
import type { Folded } from '../../src/projections/projection.js';
import { roomKeysId } from '../../src/vault/textKeys.js';
import { scripts } from '../projections/models/scripts.js';
import { World } from '../projections/models/world.js';
import { runs } from '../support/lanes.js';
import { MemoryRows } from '../support/rowsMemory.js';
import { foldInto, logOf } from './worldLog.js';

/** No key of these worlds is known, so every text is shown as null. */
const keys: AuditKeys = {
  getKeys: async (owners) => new Map(owners.map((owner) => [owner, 'destroyed' as const])),
  getRoomKeys: async (rooms) => new Map(rooms.map((room) => [roomKeysId(room), 'destroyed' as const])),
};

/** The log of a world, with an index up to this size. */
async function sourceOf(world: World, indexed: number, together: number) {
  const log = await logOf(world.events, world.partitions, together);
  const recorded: Folded[] = [];
  for (let partition = 0; partition < world.partitions; partition++)
    for (const { position, leaves } of log.commits(partition))
      for (const leaf of leaves) {
        const event = world.events.find((one) => one.leaf === leaf);
        if (event) recorded.push({ ...event, position });
      }
  const rows = new MemoryRows();
  await foldInto(rows, [streamsProjection], recorded);
  return { log, rows, keys, indexed: () => indexed };
}

type Source = Awaited<ReturnType<typeof sourceOf>>;

const stretchesIn = async ({ log }: Source, filter: EventFilter) =>
  findRanges(log, filter, await readTails(log, filter));

async function everything(source: Source, filter: EventFilter, limit: number, order: Order = 'asc') {
  const search = { filter, order };
  const found: { partition: number; offset: number; stream: string }[] = [];
  let rest: readonly UnreadRange[] = (await stretchesIn(source, filter)).map((one) => ({ ...one, from: 0 }));
  while (rest.length > 0) {
    const page = await eventPage(source, search, rest, limit);
    expect(page.events.length).to.be.at.most(limit);
    found.push(...page.events);
    rest =
      page.rest.length === 0
        ? []
        : decodeCursor(source.log.id, search, encodeCursor(source.log.id, search, page.rest));
  }
  return found.map(({ partition, offset, stream }) => ({ partition, offset, stream }));
}

const indexedUpTo = fc.constantFrom(0, 9, Number.MAX_SAFE_INTEGER);

describe('events by query', () => {
  it('are all that the filter is true of, once each, by time, whatever the pages, the commits and the index', async () => {
    const parameters = [
      scripts,
      fc.nat(),
      fc.integer({ min: 1, max: 9 }),
      indexedUpTo,
      fc.nat(99),
      fc.nat(99),
    ] as const;
    await fc.assert(
      fc.asyncProperty(...parameters, async ({ world }, pick, limit, indexed, from, to) => {
        const one = world.events[pick % world.events.length];
        if (!one) return;
        const time = (n: number) => world.events[n % world.events.length]?.recordedAt ?? '';
        const { stream, type, actor, partition } = one;
        const topic = eventTopics.get(type) ?? 'audit';
        const others = [...new Set(world.events.map((event) => event.type))].filter((each) => each !== type);
        const except = others.slice(0, 1 + (pick % 3)).join(',');
        const filters: EventFilter[] = [
          {},
          { stream },
          { type },
          { actor },
          { partition },
          { since: time(from), until: time(to) },
          { stream, since: time(from) },
          { stream, type, actor, until: time(to) },
          { topic },
          { except: type },
          { stream, topic, except: type, until: time(to) },
          ...(except === '' ? [] : [{ except }, { actor, topic, except }]),
        ];
        const source = await sourceOf(world, indexed, 1);
        for (const filter of filters) {
          const wanted = world.events.filter(
            (event) =>
              (filter.stream ?? event.stream) === event.stream &&
              (filter.type ?? event.type) === event.type &&
              (filter.topic ?? eventTopics.get(event.type)) === eventTopics.get(event.type) &&
              !`${filter.except}`.split(',').includes(event.type) &&
              (filter.actor ?? event.actor) === event.actor &&
              (filter.partition ?? event.partition) === event.partition &&
              (filter.since ?? '') <= event.recordedAt &&
              event.recordedAt < (filter.until ?? '9'),
          );
          // Each event of a world has its own time, so events are in the world's order.
          const places = wanted.map(({ partition, offset, stream }) => ({ partition, offset, stream }));
          expect(await everything(source, filter, limit)).to.deep.equal(places);
          const newestFirst = await everything(source, filter, limit, 'desc');
          expect(newestFirst).to.deep.equal(places.toReversed());
        }
      }),
      { numRuns: runs(30) },
    );
  });

  it('of one stream are the same in commits of many events, cut anywhere by pages', async () => {
    await fc.assert(
      fc.asyncProperty(
        scripts,
        fc.integer({ min: 1, max: 9 }),
        indexedUpTo,
        async ({ world, rooms }, limit, indexed) => {
          const source = await sourceOf(world, indexed, 7);
          for (const room of rooms) {
            const stream = `room:${room}` as const;
            const wanted = world.events.filter((event) => event.stream === stream);
            const offsets = (await everything(source, { stream }, limit)).map(({ offset }) => offset);
            expect(offsets).to.deep.equal(wanted.map(({ offset }) => offset));
            const newestFirst = await everything(source, { stream }, limit, 'desc');
            expect(newestFirst.map(({ offset }) => offset)).to.deep.equal(offsets.toReversed());
          }
        },
      ),
      { numRuns: runs(30) },
    );
  });

  it('of a long stream are found from anywhere in it, whatever rows they are in', async () => {
    const world = new World();
    const anna = world.register('anna');
    for (let n = 0; n < 700; n++) {
      world.goOnline(anna);
      world.goOffline(anna, '2026-02-03T04:05:06.007Z');
      if (n % 50 === 0) world.register(`user ${n}`);
    }
    const own = world.events.filter(({ stream }) => stream === `user:${anna}`);
    for (const indexed of [0, 600, Number.MAX_SAFE_INTEGER]) {
      const source = await sourceOf(world, indexed, 3);
      for (const from of [0, 255, 256, 257, 700, 1400]) {
        const since = own[from]?.recordedAt ?? '';
        const found = await everything(source, { stream: `user:${anna}`, since }, 90);
        // A commit has the time of its last event.
        expect(found.at(-1)?.offset).to.equal(own.at(-1)?.offset);
        expect(found.map(({ offset }) => offset)).to.deep.equal(
          own.slice(-found.length).map(({ offset }) => offset),
        );
        expect(found.length).to.be.within(own.length - from, own.length - from + 2);
        const search = { stream: `user:${anna}`, since } as const;
        expect(await everything(source, search, 90, 'desc')).to.deep.equal(found.toReversed());
        const until = { stream: `user:${anna}`, until: since } as const;
        expect(await everything(source, until, 90, 'desc')).to.deep.equal(
          (await everything(source, until, 90)).toReversed(),
        );
      }
    }
  });

  it('looks at about 1,500 events for a page, and says where to go on', async () => {
    const world = new World();
    const anna = world.register('anna');
    for (let n = 0; n < 1250; n++) {
      world.goOnline(anna);
      world.goOffline(anna, '2026-02-03T04:05:06.007Z');
    }
    const ben = world.register('ben');
    const source = await sourceOf(world, 0, 50);
    const rest = (await stretchesIn(source, { actor: ben })).map((one) => ({ ...one, from: 0 }));
    const search = { filter: { actor: ben }, order: 'asc' } as const;
    const first = await eventPage(source, search, rest, 50);
    expect(first.events).to.deep.equal([]);
    expect(first.rest).to.have.length(1);
    const second = await eventPage(source, search, first.rest, 50);
    expect(second.events.map(({ type }) => type)).to.deep.equal(['UserRegistered']);
    expect(second.events[0]).to.include({ erased: true });
    expect(second.rest).to.deep.equal([]);
  });

  it('a next is of its query and of no other, in whatever field they differ', () => {
    const rest = [{ partition: 0, after: 3, upTo: 9, from: 17 }];
    const id = '00000000-0000-4000-8000-00000000000a';
    const full: Required<EventFilter> = {
      stream: `room:${id}`,
      type: 'MessageSent',
      topic: 'messages',
      except: 'AuditRead',
      actor: id,
      since: '2026-01-01T00:00:00.000Z',
      until: '2026-01-02T00:00:00.000Z',
      partition: 0,
    };
    expect(filterNames).to.have.members(Object.keys(full));
    const search = { filter: full, order: 'asc' } as const;
    const text = encodeCursor('log', search, rest);
    expect(decodeCursor('log', search, text)).to.deep.equal(rest);
    const refused = (logId: string, other: Parameters<typeof decodeCursor>[1], next: string, what: string) =>
      expect(() => decodeCursor(logId, other, next), what).to.throw('from must be the next');
    for (const name of filterNames) {
      const { [name]: _, ...others } = full;
      refused('log', { filter: others, order: 'asc' }, text, name);
    }
    refused('log', { filter: full, order: 'desc' }, text, 'order');
    refused('another', search, text, 'log');
    for (const other of [text.slice(1), 'x']) refused('log', search, other, 'altered');
  });
});

describe('a filter', () => {
  const id = '00000000-0000-4000-8000-00000000000A';
  const read = (name: keyof typeof filterFields, text: string) => filterFields[name].safeParse(text).data;

  it('refuses what no event can match', () => {
    const wrong: [keyof typeof filterFields, ...string[]][] = [
      ['stream', 'room', `rooms:${id}`, `policies:${id}`, 'user:ann', `room:${id}0`, `room: ${id}`, ''],
      ['type', 'Nothing', 'messageSent', 'MessageSent ', ''],
      ['topic', 'message', 'Messages', 'messages,audit', ''],
      [
        'except',
        'Nothing',
        'auditRead',
        'AuditRead,',
        ',AuditRead',
        'AuditRead, MessageSent',
        'AuditRead,Nothing',
        '',
      ],
      ['actor', 'ann', 'systems', `${id}0`, ''],
      ['partition', '-1', '1.5', '01', 'first', ''],
      ['since', 'yesterday', '2026-01-01', '2026-01-01T00:00:00', '2026-13-01T00:00:00Z'],
      ['until', '2026-01-01T00:00:00.1234567890Z', '2026-01-01 00:00:00Z', ''],
    ];
    for (const [name, ...texts] of wrong)
      for (const text of texts) {
        const { error } = filterFields[name].safeParse(text);
        expect(error?.issues[0]?.message, `${name}=${text}`).to.match(/^must /);
      }
  });

  it('reads ids in any case', () => {
    expect(read('stream', `Room:${id}`)).to.equal(`room:${id.toLowerCase()}`);
    expect(read('actor', id)).to.equal(id.toLowerCase());
    expect(read('actor', 'System')).to.equal('system');
  });

  it('compares times exactly, with up to nine decimals of a second and any offset', () => {
    const nanoseconds = fc.bigInt({ min: 0n, max: 3_000_000_000n });
    const start = BigInt(Date.parse('2026-01-01T00:00:00Z'));
    fc.assert(
      fc.property(nanoseconds, fc.integer({ min: -1, max: 1 }), fc.nat(9), (asked, beside, decimals) => {
        const unit = 10n ** BigInt(9 - decimals);
        const exact = (asked / unit) * unit;
        const seconds = new Date(Number(start + exact / 1_000_000n)).toISOString().slice(0, 19);
        const fraction = `${exact % 1_000_000_000n}`.padStart(9, '0').slice(0, decimals);
        const text = `${seconds}${fraction === '' ? '' : `.${fraction}`}+00:00`;
        // Events beside the exact time: those are where rounding matters.
        const event = Number(exact / 1_000_000n) + beside;
        const recordedAt = new Date(Number(start) + event).toISOString();
        const eventAt = BigInt(event) * 1_000_000n;
        expect(recordedAt >= (read('since', text) ?? ''), `since ${text}`).to.equal(eventAt >= exact);
        expect(recordedAt < (read('until', text) ?? ''), `until ${text}`).to.equal(eventAt < exact);
        const point = PointInTime.parse(text);
        expect(recordedAt <= point, `at ${text}`).to.equal(eventAt <= exact);
      }),
      { numRuns: runs(500) },
    );
    expect(read('until', '2026-01-01T01:00:00.123000001+01:00')).to.equal('2026-01-01T00:00:00.124Z');
    expect(read('since', '9999-12-31T23:59:59.9999-12:00')).to.equal('9999-12-31T23:59:59.999Z');
  });
});
