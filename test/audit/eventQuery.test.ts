import { expect } from 'chai';
import fc from 'fast-check';
import { type EventFilter, findRanges, readTails } from '../../src/audit/events/eventFilter.js';
import {
  decodeCursor,
  encodeCursor,
  eventPage,
  type UnreadRange,
} from '../../src/audit/events/eventQuery.js';
import type { AuditKeys } from '../../src/audit/events/transcript.js';
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

async function everything(source: Source, filter: EventFilter, limit: number) {
  const found: { partition: number; offset: number; stream: string }[] = [];
  let rest: readonly UnreadRange[] = (await stretchesIn(source, filter)).map((one) => ({ ...one, from: 0 }));
  while (rest.length > 0) {
    const page = await eventPage(source, filter, rest, limit);
    expect(page.events.length).to.be.at.most(limit);
    found.push(...page.events);
    rest =
      page.rest.length === 0
        ? []
        : decodeCursor(source.log.id, filter, encodeCursor(source.log.id, filter, page.rest));
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
        const filters: EventFilter[] = [
          {},
          { stream },
          { type },
          { actor },
          { partition },
          { since: time(from), until: time(to) },
          { stream, since: time(from) },
          { stream, type, actor, until: time(to) },
        ];
        const source = await sourceOf(world, indexed, 1);
        for (const filter of filters) {
          const wanted = world.events.filter(
            (event) =>
              (filter.stream ?? event.stream) === event.stream &&
              (filter.type ?? event.type) === event.type &&
              (filter.actor ?? event.actor) === event.actor &&
              (filter.partition ?? event.partition) === event.partition &&
              (filter.since ?? '') <= event.recordedAt &&
              event.recordedAt < (filter.until ?? '9'),
          );
          // Each event of a world has its own time, so events are in the world's order.
          expect(await everything(source, filter, limit)).to.deep.equal(
            wanted.map((event) => ({
              partition: event.partition,
              offset: event.offset,
              stream: event.stream,
            })),
          );
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
      }
    }
  }).timeout(60_000);

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
    const first = await eventPage(source, { actor: ben }, rest, 50);
    expect(first.events).to.deep.equal([]);
    expect(first.rest).to.have.length(1);
    const second = await eventPage(source, { actor: ben }, first.rest, 50);
    expect(second.events.map(({ type }) => type)).to.deep.equal(['UserRegistered']);
    expect(second.events[0]).to.include({ erased: true });
    expect(second.rest).to.deep.equal([]);
  }).timeout(60_000);

  it('a next is of its query and of no other', () => {
    const rest = [{ partition: 0, after: 3, upTo: 9, from: 17 }];
    const text = encodeCursor('log', { type: 'MessageSent' }, rest);
    expect(decodeCursor('log', { type: 'MessageSent' }, text)).to.deep.equal(rest);
    for (const other of [text.slice(1), 'x', encodeCursor('another', { type: 'MessageSent' }, rest)])
      expect(() => decodeCursor('log', { type: 'MessageSent' }, other)).to.throw('from must be the next');
    expect(() => decodeCursor('log', {}, text)).to.throw('from must be the next');
  });
});
