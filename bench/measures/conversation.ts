import { mapLimited } from '../batches.js';
import { type LoadResult, runLoad, type Sender } from '../load.js';
import type { BenchUser, Running } from '../systems/system.js';

const users = 200;
const openAtOnce = 16;
/** About a hundred bytes. */
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

/** Connects everyone, ready to send. */
export function connectAll({ running, pairs }: Conversation): Promise<Sender[]> {
  return mapLimited(pairs, openAtOnce, async ({ member, roomId }) => ({
    connection: await running.connect(member),
    template: running.dialect.template(roomId, text),
  }));
}

/** What one window of load showed, with what the server used in it. */
export interface Window extends LoadResult {
  readonly rate: number;
  readonly cpuMicrosPerMessage: number;
  readonly rssBytes: number;
  /** Seconds, at the window's end. */
  readonly lag: number;
}

/** What is read around a window, of one server or of several taken together. */
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
  // A load that was given up while warming up had no window.
  const cpuMicrosPerMessage = result.messages > 0 ? cpu / result.messages : Number.NaN;
  return { ...result, rate, rssBytes, cpuMicrosPerMessage, lag: await lag };
}

/** Whether the window counts: nothing lost, doubled or refused, and the read models no more than 1 s behind. */
export function isSound({ lost, doubled, refusals, abandoned, lag }: Window): boolean {
  return lost === 0 && doubled === 0 && refusals.size === 0 && !abandoned && lag < 1;
}

/** One line on a window, with what was wrong in it. */
export function describeWindow(name: string, window: Window): string {
  const refused = [...window.refusals].map(([code, count]) => `${count} ${code}`);
  const troubles = [
    ...(window.abandoned ? ['given up'] : []),
    ...(window.lost > 0 ? [`${window.lost} lost`] : []),
    ...(window.doubled > 0 ? [`${window.doubled} doubled`] : []),
    ...(window.lag < 1 ? [] : [`lag ${window.lag.toFixed(1)} s`]),
    ...refused,
  ];
  return [
    `${name}: ${window.rate}/s`,
    `p50 ${window.p50.toFixed(1)} ms, p99 ${window.p99.toFixed(1)} ms, max ${window.max.toFixed(0)} ms`,
    `${window.cpuMicrosPerMessage.toFixed(0)} µs CPU a message`,
    `${(window.rssBytes / 2 ** 20).toFixed(0)} MiB`,
    `generator late p99 ${window.generatorLateP99.toFixed(1)} ms`,
    ...troubles,
  ].join(', ');
}
