import { randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { requests } from '../../src/domain/contract.js';
import { PAGE_BYTES, PAGE_ROWS } from '../../src/domain/limits.js';
import { reportName, reportNoteSealing } from '../../src/domain/moderation/reports.js';
import { type AdministrationParts, UserAdministration } from '../../src/http/administration.js';
import { cutPage } from '../../src/projections/answerPages.js';
import { type ReportRow, reportsModel } from '../../src/projections/models/reportRows.js';
import { Reports } from '../../src/projections/reportQueries.js';
import { seal } from '../../src/vault/dataKeys.js';
import { FakeVault } from '../support/fakeVault.js';
import { MemoryRows } from '../support/rowsMemory.js';
import { type Folded, folded } from './models/fold.js';
import { World } from './models/world.js';

const limit = PAGE_ROWS.max;
const others = 160;
const long = '😀';

/** Everybody has a long profile. One is a friend of all, has blocked all, or talks with many; all are in one group. */
async function crowd() {
  const world = new World();
  const names = Array.from({ length: others }, (_, i) => `user${i}`);
  const users = names.map((name) => world.register(name));
  for (const user of users) world.changeProfile(user, { about: long.repeat(500), status: long.repeat(80) });
  const [friend, blocker, talker] = ['friend', 'blocker', 'talker'].map((name) => world.register(name)) as [
    string,
    string,
    string,
  ];
  for (const user of users) {
    world.befriend(friend, user);
    world.block(blocker, user);
  }
  const rooms = users.slice(0, 12).map((user) => world.openChat(talker, user));
  for (const room of rooms) world.send(talker, room, long.repeat(8192));
  for (let i = 0; i < 11; i++) world.send(talker, rooms[0] ?? '', long.repeat(8192));
  const group = world.createGroup(friend, users);
  world.send(friend, group, 'hello');
  for (const user of users) world.read(user, group);
  const rows = new MemoryRows();
  const { queries } = await folded(world, rows);
  return { friend, blocker, talker, room: rooms[0] ?? '', group, queries, rows };
}

/** Reports with long notes. */
async function longReports(rows: MemoryRows): Promise<Reports> {
  const reporter = randomUUID();
  const key = randomBytes(32);
  const written = Array.from({ length: 100 }, (_, offset) => {
    const reportId = randomUUID();
    const note = seal(key, long.repeat(1000), reportNoteSealing(reporter, reportId).context);
    const reportedAt = new Date(offset).toISOString();
    const value: ReportRow = { reportId, reporter, reportedAt, category: 'spam', note };
    return { key: reportName(reporter, reportId), partition: 0, offset, value };
  });
  await rows.prepare(reportsModel);
  await rows.write([{ model: reportsModel, rows: written }]);
  const keys = { getKeys: async () => new Map([[reporter, key]]) };
  return new Reports({ rows, keys, progress: { waitFor: async () => {} } });
}

interface Page {
  readonly rows: readonly object[];
  readonly next?: string | undefined;
}
const bytesOf = (row: object): number => Buffer.byteLength(JSON.stringify(row));

/** Walks through all pages; each must be as full as it may be. */
async function walk(name: string, pageAt: (next: string | undefined) => Promise<Page>): Promise<object[]> {
  const all: object[] = [];
  for (let next: string | undefined; ; ) {
    const page = await pageAt(next);
    const bytes = page.rows.reduce((sum, row) => sum + bytesOf(row), 0);
    expect(page.rows.length === 1 || bytes <= PAGE_BYTES, `${name}: a page of ${bytes} bytes`).to.equal(true);
    all.push(...page.rows);
    if (page.next === undefined) return all;
    const isFull = page.rows.length === limit || bytes + Math.max(...all.map(bytesOf)) > PAGE_BYTES;
    expect(isFull, `${name}: a page of ${page.rows.length} rows ends with ${bytes} bytes`).to.equal(true);
    next = page.next;
  }
}

const from = (next: string | undefined) => ({ limit, ...(next === undefined ? {} : { next }) });
/** The happenings of a page, each with those of its users whom no later one names. */
const withUsers = async (found: ReturnType<Folded['queries']['groups']['happenings']>): Promise<Page> => {
  const { happenings, users, next } = await found;
  const left = new Set(users);
  const rows = happenings.reverse().map((happening) => {
    const named = [...left].filter(({ userId }) => JSON.stringify(happening).includes(userId));
    for (const user of named) left.delete(user);
    return { ...happening, users: named };
  });
  expect(left.size, 'users whom no happening names').to.equal(0);
  return { rows, next };
};
type Found = Promise<{ readonly next?: string }>;
/** The rows of a page and its `next`. */
const page = async (found: Found): Promise<Page> => {
  const { next, ...rest } = await found;
  return { rows: Object.values(rest).find(Array.isArray) ?? [], next };
};

describe('a page of an answer', () => {
  it('ends at 256 KiB, with at least one row, whatever is asked; each row comes once', async () => {
    const { friend, blocker, talker, room, group, queries, rows } = await crowd();
    const reports = await longReports(rows);
    const administration = new UserAdministration({
      vault: new FakeVault(),
      queries,
    } as unknown as AdministrationParts); // What listing uses.
    /** Messages have a `seq` instead of a `next`, in both directions. */
    const messages = (at: 'before' | 'after') => async (next: string | undefined) => {
      const start =
        at === 'after' ? { after: Number(next ?? 0) } : next === undefined ? {} : { before: Number(next) };
      const { messages: found, hasMore } = await queries.messages(room, { limit, ...start }, []);
      const last = at === 'after' ? found.at(-1) : found[0];
      return { rows: found, next: hasMore ? String(last?.seq) : undefined };
    };
    const walks: Record<string, readonly [number, (next: string | undefined) => Promise<Page>]> = {
      'get friends': [others, (next) => page(queries.friends(friend, from(next), []))],
      'get blocked': [others, (next) => page(queries.blocked(blocker, from(next), []))],
      'get active chats': [12, (next) => page(queries.activeChats(talker, from(next), []))],
      'fetch messages': [12, messages('before')],
      'fetch messages, forward': [12, messages('after')],
      'get members': [
        others + 1,
        (next) => page(queries.groups.members(friend, { roomId: group, ...from(next) }, [])),
      ],
      'get readers': [
        others + 1,
        (next) => page(queries.groups.readers(friend, { roomId: group, seq: 1, ...from(next) }, [])),
      ],
      'get happenings': [
        others + 2,
        (next) => withUsers(queries.groups.happenings(friend, { roomId: group, ...from(next) }, [])),
      ],
      'GET /admin/users': [others + 3, (next) => page(administration.list(from(next)))],
      'GET /admin/users?q=': [others, (next) => page(administration.list({ q: 'user', ...from(next) }))],
      'GET /admin/reports': [100, (next) => page(reports.page('open', from(next), []))],
    };
    for (const [name, [count, pageAt]] of Object.entries(walks)) {
      const all = await walk(name, pageAt);
      expect(new Set(all.map((row) => JSON.stringify(row))).size, name).to.equal(count);
      expect(all, name).to.have.length(count);
    }
    // A request whose answer comes in pages is one of these.
    const paged = Object.values(requests).filter(
      ({ answer }) => 'shape' in answer && ('next' in answer.shape || 'hasMore' in answer.shape),
    );
    expect(Object.keys(walks)).to.include.members(paged.map(({ name }) => name));
  });

  it('has one row, however large, and leaves out what is not shown without an end', () => {
    const rows = [300_000, 10, 10].map((size) => 'x'.repeat(size));
    const same = (row: string) => row;
    expect(cutPage(rows, false, same)).to.deep.equal({ shown: rows.slice(0, 1), end: rows[0] });
    expect(cutPage(rows.slice(1), false, same)).to.deep.equal({ shown: rows.slice(1), end: undefined });
    expect(cutPage(['a', 'b'], true, () => undefined)).to.deep.equal({ shown: [], end: 'b' });
    expect(cutPage(['a', 'b'], false, (row) => (row === 'b' ? row : undefined))).to.deep.equal({
      shown: ['b'],
      end: undefined,
    });
  });
});
