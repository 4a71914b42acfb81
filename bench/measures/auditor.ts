import hdr, { type Histogram } from 'hdr-histogram-js';
import { controlSocketOf } from '../../src/app/operator.js';
import { remoteOperator } from '../../src/cli/operate.js';
import { ask } from '../http.js';
import type { Running } from '../systems/system.js';

/** An auditor of a running server. */
export interface Auditor {
  /** What the server answers to a GET of this path; rejects on any status but 200. */
  get(path: string): Promise<string>;
  /** Asks for this, and records how long that took, in microseconds. */
  timed(path: string, histogram: Histogram): Promise<void>;
}

/** Signs up a new user and makes an auditor of them, as an operator does. */
export async function appointAuditor(running: Running): Promise<Auditor> {
  const [user] = await running.signUp(1);
  if (!user) throw new Error('one was asked for');
  const { role } = remoteOperator(controlSocketOf(running.directory));
  await role({ username: user.username, isAuditor: true });
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

/** Has all of a partition signed, and says how many events that are; undefined: there is no such partition. */
export async function signedSize(auditor: Auditor, partition: number): Promise<number | undefined> {
  try {
    const [, size] = (await auditor.get(`/audit/log/${partition}/checkpoint`)).split('\n');
    return Number(size);
  } catch (error) {
    if (error instanceof Error && error.message.includes(': 404')) return undefined;
    throw error;
  }
}

/** The median and the p99 of times in microseconds, as a cell shows them, and whether the p99 is below a goal. */
export function judged(histogram: Histogram, goalMs: number): { value: string; reached: boolean } {
  const [median, p99] = [50, 99].map((percent) => histogram.getValueAtPercentile(percent) / 1000);
  const value = `${p99?.toFixed(2)} ms (p50 ${median?.toFixed(2)} ms)`;
  return { value, reached: (p99 ?? Number.NaN) < goalMs };
}

/** Room for the times of one measure. */
export const times = (): Histogram => hdr.build();
