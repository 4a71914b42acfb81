import { isPeer, type System, type SystemName } from '../systems/system.js';
import type { BigLogs } from './bigLog.js';

/** One line of the table. */
export interface Row {
  readonly measure: string;
  readonly goal: string;
  readonly cells: readonly Cell[];
}

export interface Cell {
  readonly system: SystemName;
  readonly value: string;
  /** Whether the goal is reached; absent if the goal does not apply or the system to compare with was not run. */
  readonly reached?: boolean;
}

export interface Context {
  readonly systems: readonly System[];
  /** Shorter windows and smaller logs: checks that the benchmark runs; the figures mean nothing. */
  readonly quick: boolean;
  /** How long a window of load is measured. */
  readonly windowMs: number;
  /** The rates of the steady load, in messages a second. */
  readonly rates: readonly number[];
  /** Whether to print the functions that a message runs through. */
  readonly isListing: boolean;
  readonly bigLogs: BigLogs;
  /** Prints one line of progress. */
  log(line: string): void;
}

export interface Measure {
  readonly name: string;
  run(context: Context): Promise<Row[]>;
}

/** A system's cell; without a verdict if `reached` is undefined. */
export function cell(system: SystemName, value: string, reached?: boolean): Cell {
  return { system, value, ...(reached === undefined || isPeer(system) ? {} : { reached }) };
}

/** The systems that keep messages. */
export const storing = (systems: readonly System[]) =>
  systems.filter(({ name }) => name !== 'socket.io-no-store');

/** A server to compare with. */
export type PeerName = Extract<SystemName, 'socket.io' | 'socket.io-no-store' | 'parley-before'>;

/** A goal for a figure, also in comparison with peers. */
export interface Goal {
  readonly text: string;
  /** The peers that the goal compares with; there is no verdict without a sound figure of each. */
  readonly peers?: readonly PeerName[];
  /** The system that the goal is for; `parley-sqlite` if absent. */
  readonly on?: SystemName;
  isReached(figure: number, peers: Readonly<Record<PeerName, number>>): boolean;
}

/** The figure of a system in one row. */
export interface Figure {
  readonly system: SystemName;
  readonly value: number;
  /** Whether the figure counts as reached at all; a window with lost messages never reaches a goal. */
  readonly isSound: boolean;
  readonly note?: string;
}

/** Formats one row, with the ratios to the peers beside each figure of Parley. */
export function comparedRow(
  measure: string,
  goal: Goal | undefined,
  figures: readonly Figure[],
  format: (value: number) => string,
): Row {
  // A server that lost messages, or passed at no rate, is nothing to compare with.
  const of = (name: PeerName) => figures.find(({ system, isSound }) => system === name && isSound)?.value;
  const peers = {
    'socket.io': of('socket.io') ?? Number.NaN,
    'socket.io-no-store': of('socket.io-no-store') ?? Number.NaN,
    'parley-before': of('parley-before') ?? Number.NaN,
  };
  const isJudged = (system: SystemName) =>
    system === (goal?.on ?? 'parley-sqlite') &&
    (goal?.peers ?? []).every((name) => !Number.isNaN(peers[name]));
  const cells = figures.map(({ system, value, isSound, note }) => {
    const notes = isPeer(system) ? [] : ratios(value, peers);
    if (note !== undefined) notes.push(note);
    const reached = goal && isJudged(system) ? isSound && goal.isReached(value, peers) : undefined;
    return cell(system, [Number.isNaN(value) ? 'none' : format(value), ...notes].join(', '), reached);
  });
  return { measure, goal: goal?.text ?? '', cells };
}

function ratios(value: number, peers: Readonly<Record<PeerName, number>>): string[] {
  const shown = [
    ['peer', peers['socket.io']],
    ['no store', peers['socket.io-no-store']],
    ['before', peers['parley-before']],
  ] as const;
  return shown
    .filter(([, figure]) => !Number.isNaN(value / figure))
    .map(([title, figure]) => `${(value / figure).toFixed(2)}× ${title}`);
}

/** The median of an odd number of values. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

const rounds = 3;

/** The median of three runs over a long log; one run if the benchmark is quick, and on MongoDB, which takes minutes. */
export async function medianRun(
  { name }: System,
  quick: boolean,
  run: () => Promise<number>,
): Promise<number> {
  const values = [];
  for (let round = 0; round < (quick || name === 'parley-mongodb' ? 1 : rounds); round++)
    values.push(await run());
  return median(values);
}

/** Prepares every system, runs, and stops all of them even after a failure. */
export async function withAll<R, T>(
  systems: readonly System[],
  prepare: (system: System) => Promise<R>,
  stop: (prepared: R) => Promise<void>,
  run: (prepared: readonly R[]) => Promise<T>,
): Promise<T> {
  const prepared: R[] = [];
  try {
    for (const system of systems) prepared.push(await prepare(system));
    return await run(prepared);
  } finally {
    await Promise.all(prepared.map(stop));
  }
}
