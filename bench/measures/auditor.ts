import hdr, { type Histogram } from 'hdr-histogram-js';
import { remoteOperator } from '../../src/app/controlSocket.js';
import { controlSocketOf } from '../../src/app/operator.js';
import { ask } from '../http.js';
import type { Running } from '../systems/system.js';

/** An auditor of a running server. */
export interface Auditor {
  /** Gets a path; rejects on any status but 200. */
  get(path: string): Promise<string>;
  /** Gets a path and records the time in microseconds. */
  timed(path: string, histogram: Histogram): Promise<void>;
}

/** Signs up a new user and gives them the auditor role, like an operator. */
export async function appointAuditor(running: Running): Promise<Auditor> {
  const [user] = await running.signUp(1);
  if (!user) throw new Error('signing up a user returned no user');
  const { role } = remoteOperator(controlSocketOf(running.directory));
  await role({ username: user.username, role: 'auditor', give: true });
  const headers = { authorization: `Bearer ${user.token}` };
  const get = (path: string) => ask(running.server.origin + path, headers);
  return {
    get,
    async timed(path, histogram) {
      const from = performance.now();
      await get(path);
      histogram.recordValue(Math.round((performance.now() - from) * 1000));
    },
  };
}

/** Makes the server sign a partition up to its end. Returns the size, or `undefined` if there is no such partition. */
export async function signedSize(auditor: Auditor, partition: number): Promise<number | undefined> {
  try {
    const [, size] = (await auditor.get(`/audit/log/${partition}/checkpoint`)).split('\n');
    return Number(size);
  } catch (error) {
    if (error instanceof Error && error.message.includes(': 404')) return undefined;
    throw error;
  }
}

/** Formats the p99 and the median of times in microseconds, and compares the p99 with a goal. */
export function judged(histogram: Histogram, goalMs: number): { value: string; reached: boolean } {
  const [median, p99] = [50, 99].map((percent) => histogram.getValueAtPercentile(percent) / 1000);
  const value = `${p99?.toFixed(2)} ms (p50 ${median?.toFixed(2)} ms)`;
  return { value, reached: (p99 ?? Number.NaN) < goalMs };
}

/** An empty histogram for the times of one measure. */
export const times = (): Histogram => hdr.build();
