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

/** The median of an odd number of values. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
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
