import { seeded } from '../../support/random.js';
import { check, type Violation } from './checker.js';
import { inTime, lookEverywhere } from './closing.js';
import type { Cluster } from './cluster.js';
import { drawFaults, sayFault } from './faults.js';
import { foundGroups, noteLog } from './groups.js';
import { History } from './history.js';
import { inflict } from './inflict.js';
import { load } from './load.js';
import { gather, newPeople, pairUp } from './people.js';

const LOAD_MS = 7000;
const PEOPLE = 8;
const DEVICES_EACH = 2;
const ROOMS_A_PARTITION = 2;
const GROUPS = 3;

/** What came out of a round. */
export interface Round {
  readonly seed: number;
  readonly faults: readonly string[];
  readonly history: History;
  readonly violations: readonly Violation[];
}

/**
 * Plays the round of a seed: new people in new rooms and groups write for seven seconds while the faults of the seed happen,
 * and then everything that they saw and that is stored is checked.
 */
export async function playRound(cluster: Cluster, seed: number): Promise<Round> {
  const random = seeded(seed);
  const { nodes, store } = cluster;
  const breakable = {
    nodes: nodes.length,
    bus: cluster.nats !== undefined,
    database: nodes.some(({ database }) => database !== undefined),
  };
  const faults = drawFaults(random, breakable, LOAD_MS);
  const deathsBefore = nodes.map(({ deaths }) => deaths.length);
  const logsBefore = nodes.map(({ log }) => log.length);

  const people = await newPeople(nodes, PEOPLE, DEVICES_EACH);
  const pairs = pairUp(people, store.partitions, ROOMS_A_PARTITION);
  const history = new History();
  const devices = await gather(people, pairs, nodes, history, random);
  const groups = await foundGroups(people, devices, GROUPS, history, random);
  // What cannot be read is found when the store is looked at.
  const readLog = async () => noteLog(history, groups, await store.readOn().catch(() => []));
  try {
    const written = load(devices, { pairs, groups }, LOAD_MS, random);
    await inflict(cluster, faults, history);
    await inTime(history, 'every send that is insisted on is acknowledged', written);
    await inTime(history, 'every node is ready again', cluster.ready());
    await readLog();
    const looked = lookEverywhere(devices, { pairs, groups }, nodes, history, random);
    await inTime(history, 'every node shows every room', looked);
  } finally {
    for (const device of devices) device.close();
  }
  await readLog();
  const stored = await store.look();
  const deaths = nodes.flatMap(({ deaths: all }, n) => all.slice(deathsBefore[n]));
  const incidents = nodes.flatMap(({ log }, n) => incidentsIn(log.slice(logsBefore[n])));
  const violations = [
    ...check(history.entries),
    ...stored.map((what) => ({ rule: 'the log verifies, and the read models are a fold of it', what })),
    ...deaths.map((what) => ({ rule: 'no node ends by itself', what })),
    ...incidents.map((what) => ({ rule: 'no node meets what it did not expect', what })),
  ];
  return { seed, faults: faults.map(sayFault), history, violations };
}

/** Lines of a log that tell of an internal error, or of the end of a process that had started. */
const incidentsIn = (log: string): string[] =>
  log
    .split('\n')
    .filter((line) => line.includes('"incident":') || line.includes('"level":"fatal"'))
    .filter((line) => !line.includes('"msg":"cannot start: '));
