import { mapLimited } from '../batches.js';
import { type LoadResult, runLoad, type Sender } from '../load.js';
import type { BenchUser, Running } from '../systems/system.js';

const users = 200;
const openAtOnce = 16;
export const text =
  'A message of about a hundred bytes, as people write them to each other, give or take a few words.';

/** 200 users, two in each of 100 rooms. */
export interface Conversation {
  readonly running: Running;
  readonly pairs: readonly { readonly member: BenchUser; readonly roomId: string }[];
}

/** Signs the users up and opens their rooms. */
export async function prepareConversation(running: Running): Promise<Conversation> {
  const everyone = await running.signUp(users);
  const half = everyone.slice(0, users / 2);
  const pairs = half.map((user, i) => [user, everyone[users / 2 + i] ?? user] as const);
  const roomIds = await running.rooms(pairs);
  return {
    running,
    pairs: pairs.flatMap((pair, i) => pair.map((member) => ({ member, roomId: roomIds[i] ?? '' }))),
  };
}

/** Connects all users and prepares their messages. */
export function connectAll({ running, pairs }: Conversation): Promise<Sender[]> {
  return mapLimited(pairs, openAtOnce, async ({ member, roomId }) => ({
    connection: await running.connect(member),
    template: running.dialect.template(roomId, text),
  }));
}

/** The result of one window of load, with the server's resource usage during the window. */
export interface Window extends LoadResult {
  readonly rate: number;
  readonly cpuMicrosPerMessage: number;
  readonly rssBytes: number;
  /** How far the read models are behind the log at the window's end, in seconds. */
  readonly lag: number;
}

/** One server or several servers together, whose usage is read before and after a window. */
export interface Loaded {
  readonly server: Pick<Running['server'], 'cpuMicros' | 'rssBytes'>;
  projectionLag(): Promise<number>;
}

/** Puts `rate` messages a second on the server and reads its CPU, memory and lag around the window. */
export async function measureWindow(
  running: Loaded,
  senders: readonly Sender[],
  rate: number,
  span: { readonly warmupMs: number; readonly windowMs: number },
): Promise<Window> {
  let cpu = 0;
  let rssBytes = 0;
  let lag = Promise.resolve(Number.NaN);
  const result = await runLoad(senders, {
    rate,
    ...span,
    onWindowStart: () => {
      cpu = -running.server.cpuMicros();
    },
    onWindowEnd: () => {
      cpu += running.server.cpuMicros();
      rssBytes = running.server.rssBytes();
      lag = running.projectionLag();
    },
  });
  // A load that was abandoned during the warm-up has no messages in the window.
  const cpuMicrosPerMessage = result.messages > 0 ? cpu / result.messages : Number.NaN;
  return { ...result, rate, rssBytes, cpuMicrosPerMessage, lag: await lag };
}

/** Whether the window counts: no message lost, duplicated or refused, and the read models less than 1 s behind. */
export function isSound({ lost, doubled, refusals, abandoned, lag }: Window): boolean {
  return lost === 0 && doubled === 0 && refusals.size === 0 && !abandoned && lag < 1;
}

/** One line about a window, with its problems. */
export function describeWindow(name: string, window: Window): string {
  const refused = [...window.refusals].map(([code, count]) => `${count} ${code}`);
  const troubles = [
    ...(window.abandoned ? ['abandoned'] : []),
    ...(window.lost > 0 ? [`${window.lost} lost`] : []),
    ...(window.doubled > 0 ? [`${window.doubled} duplicated`] : []),
    ...(window.lag < 1 ? [] : [`read models ${window.lag.toFixed(1)} s behind`]),
    ...refused,
  ];
  return [
    `${name}: ${window.rate}/s`,
    `delivery p50 ${window.delivery.p50.toFixed(1)} ms, p99 ${window.delivery.p99.toFixed(1)} ms, max ${window.delivery.max.toFixed(0)} ms`,
    `answer p50 ${window.answer.p50.toFixed(1)} ms`,
    `${window.cpuMicrosPerMessage.toFixed(0)} µs CPU per message`,
    `${(window.rssBytes / 2 ** 20).toFixed(0)} MiB`,
    `generator delay p99 ${window.generatorLateP99.toFixed(1)} ms`,
    ...troubles,
  ].join(', ');
}
