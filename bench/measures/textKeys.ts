import { randomBytes, randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { WriterInRoom } from '../../src/domain/ids.js';
import { seal } from '../../src/vault/dataKeys.js';
import { openVault } from '../../src/vault/openVault.js';
import { encodeTrees, newRoot, openText, RoomKeys, sealText } from '../../src/vault/textKeys.js';
import { seededRandom } from '../random.js';
import { temporaryDirectory } from '../temporary.js';
import { cell, type Measure, type Row } from './measure.js';

const text = 'Shall we meet at the usual place at seven? I will bring the papers with me, and some food too.';
const context = `${randomUUID()} ${randomUUID()} MessageSent text`;
const goals = { sealUs: 14, openUs: 12, fileBytes: 500_000 };
const pageTexts = 50;
const destroyed = 1_000;
const rounds = 1_000;
const roundCalls = 300;
const systemName = 'parley-sqlite';

/** The time of one call in the fastest of many short rounds, in which nothing else ran. The first ones compile. */
function fastestUs(roundCalls: number, run: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const from = performance.now();
    for (let i = 0; i < roundCalls; i++) run();
    best = Math.min(best, ((performance.now() - from) * 1000) / roundCalls);
  }
  return best;
}

const newKeys = () => RoomKeys.from(encodeTrees(new Map([[0, newRoot()]])));

/** For comparison: sealing with one key for all texts. */
const plainSealUs = (): number => {
  const key = randomBytes(32);
  return fastestUs(roundCalls, () => seal(key, text, context));
};

function sealUs(): number {
  const keys = newKeys();
  let seq = 1;
  return fastestUs(roundCalls, () => sealText(keys, { seq: seq++, rev: 0 }, text, context));
}

/** A page of two writers in turn, with keys that were just read from the vault. */
function openUs(): number {
  const writers = [newKeys(), newKeys()];
  const page = Array.from({ length: pageTexts }, (_, i) => {
    const keys = writers[i % 2] ?? newKeys();
    const place = { seq: 12_000 + i, rev: 0 };
    return { place, writer: i % 2, sealed: sealText(keys, place, text, context) };
  });
  const pageUs = fastestUs(roundCalls / pageTexts, () => {
    const fresh = writers.map(({ bytes }) => RoomKeys.from(bytes));
    for (const { place, writer, sealed } of page)
      openText(fresh[writer] ?? newKeys(), place, sealed, context);
  });
  return pageUs / pageTexts;
}

/** The size of the vault after random texts of `texts` were destroyed, one at a time. */
async function destroySome(rooms: readonly WriterInRoom[][], texts: number): Promise<number> {
  const dataDir = temporaryDirectory();
  const vault = await openVault({ engine: { kind: 'sqlite', dataDir }, masterKey: randomBytes(32) });
  const random = seededRandom(1);
  try {
    for (const owner of new Set(rooms.flat().map((room) => room.owner))) await vault.keys.create(owner);
    const written = rooms.flatMap((writers) =>
      Array.from({ length: texts / rooms.length }, (_, i) => ({
        room: writers[Math.floor(random() * writers.length)],
        seq: i + 1,
        order: random(),
      })),
    );
    for (const { room, seq } of written.toSorted((a, b) => a.order - b.order).slice(0, destroyed))
      if (room) await vault.keys.destroyTexts(room, [seq]);
    return statSync(join(dataDir, 'vault.db')).size;
  } finally {
    await vault.close();
  }
}

/** Measures what a key for each text costs, and how large the vault grows when texts are destroyed. */
export const textKeys: Measure = {
  name: 'text-keys',
  async run({ systems, quick, log }) {
    if (!systems.some(({ name }) => name === systemName)) return [];
    const rows: Row[] = [];
    const add = (measure: string, goal: string, value: string, reached: boolean) => {
      log(`${measure}: ${value}`);
      rows.push({ measure, goal, cells: [cell(systemName, value, reached)] });
    };
    log(`sealing with one key for all: ${plainSealUs().toFixed(1)} µs`);
    const [next, open] = [sealUs(), openUs()];
    add(
      'sealing the next text of a room',
      `≤ ${goals.sealUs} µs`,
      `${next.toFixed(1)} µs`,
      next <= goals.sealUs,
    );
    add(
      'opening a text of a page of 50',
      `≤ ${goals.openUs} µs`,
      `${open.toFixed(1)} µs`,
      open <= goals.openUs,
    );
    const newRooms = (count: number, writers: number) =>
      Array.from({ length: count }, () => {
        const roomId = randomUUID();
        return Array.from({ length: writers }, () => ({ owner: randomUUID(), roomId }));
      });
    for (const [name, rooms] of [
      ['of one writer in one room', newRooms(1, 1)],
      ['of 200 writers, two in each of 100 rooms', newRooms(100, 2)],
    ] as const) {
      const bytes = await destroySome(rooms, quick ? 2_000 : 20_000);
      const measure = `vault.db after 1,000 of 20,000 texts ${name} were destroyed`;
      add(
        measure,
        `≤ ${goals.fileBytes / 1000} KB`,
        `${Math.round(bytes / 1000)} KB`,
        bytes <= goals.fileBytes,
      );
    }
    return rows;
  },
};
