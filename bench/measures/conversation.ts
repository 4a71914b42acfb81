import { setTimeout as wait } from 'node:timers/promises';
import { mapLimited } from '../batches.js';
import { type LoadResult, runLoad, type Sender } from '../load.js';
import { OthersMeter, ownCpuMicros } from '../others.js';
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
  /** Of the messages that were answered in the window. */
  readonly cpuMicrosPerMessage: number;
  /** What a message cost the generator: its send, its delivery and its answer. */
  readonly generatorMicrosPerMessage: number;
  /** The use of other programs, in cores. Other servers of the benchmark are other programs. */
  readonly othersCores: number;
  /** Whether other programs used more than 10% of a core in the window. */
  readonly isDisturbed: boolean;
  readonly rssBytes: number;
  /** How far the read models are behind the log at the window's end, in seconds. */
  readonly lag: number;
}

/** One server or several servers together, whose usage is read before and after a window. */
export interface Loaded {
  readonly server: Pick<Running['server'], 'cpuMicros' | 'rssBytes'>;
  /** Whether a part of the server's work is done by programs of others, like a database. */
  readonly usesOthers: boolean;
  projectionLag(): Promise<number>;
}

/** How long a load runs before it is measured, and how long it is measured. */
export interface Span {
  readonly warmupMs: number;
  readonly windowMs: number;
}

const warmUpMs = { quick: 2000, full: 10_000 };
const disturbingCores = 0.1;
const triesAtMost = 3;
const restTimeoutMs = 15_000;
const restedLag = 0.1;
const lookEveryMs = 200;

/**
 * Puts load on a server that has just started, because Node still compiles its hot functions. Goes on with half the
 * rate if the server cannot keep up, so that each server works for the same time.
 */
export async function warmUp(
  running: Loaded,
  senders: readonly Sender[],
  rate: number,
  quick: boolean,
): Promise<void> {
  const until = performance.now() + (quick ? warmUpMs.quick : warmUpMs.full);
  let kept = rate;
  for (let left = until - performance.now(); left > 0; left = until - performance.now()) {
    const { abandoned } = await runLoad(senders, { rate: kept, warmupMs: left, windowMs: 0 });
    if (abandoned) kept /= 2;
  }
  await rest(running);
}

/** Waits until the read models have caught up, at most 15 s, so that the next window does not pay for this one. */
async function rest(running: Loaded): Promise<void> {
  const from = performance.now();
  while ((await running.projectionLag()) > restedLag && performance.now() - from < restTimeoutMs)
    await wait(lookEveryMs);
}

let isQuiet = true;

/**
 * Puts `rate` messages a second on the server and reads its CPU, memory and lag around the window. Repeats the window,
 * at most twice, if other programs used more than a tenth of a core. Does not repeat it if the window before stayed
 * disturbed too: then the machine is not at rest, and repeating takes time only.
 */
export async function measureWindow(
  running: Loaded,
  senders: readonly Sender[],
  rate: number,
  span: Span,
): Promise<Window> {
  for (let tries = 1; ; tries++) {
    const window = await measureOnce(running, senders, rate, span);
    if (window.isDisturbed && isQuiet && tries < triesAtMost) continue;
    isQuiet = !window.isDisturbed;
    return window;
  }
}

async function measureOnce(
  running: Loaded,
  senders: readonly Sender[],
  rate: number,
  span: Span,
): Promise<Window> {
  const { server } = running;
  let cpu = 0;
  let generator = 0;
  let rssBytes = 0;
  let lag = Promise.resolve(Number.NaN);
  const others = new OthersMeter(() => server.cpuMicros());
  const result = await runLoad(senders, {
    rate,
    ...span,
    onWindowStart: () => {
      cpu = -server.cpuMicros();
      generator = -ownCpuMicros();
    },
    onWindowEnd: () => {
      cpu += server.cpuMicros();
      generator += ownCpuMicros();
      rssBytes = server.rssBytes();
      lag = running.projectionLag();
    },
  });
  const othersCores = others.cores();
  const lagAtEnd = await lag;
  await rest(running);
  // A load that was abandoned during the warm-up has no answers in the window.
  const perMessage = (micros: number) => (result.answered > 0 ? micros / result.answered : Number.NaN);
  return {
    ...result,
    rate,
    rssBytes,
    cpuMicrosPerMessage: perMessage(cpu),
    generatorMicrosPerMessage: perMessage(generator),
    othersCores,
    isDisturbed: !running.usesOthers && othersCores > disturbingCores,
    lag: lagAtEnd,
  };
}

/** Read models are written once a second. */
const soundLag = 2;

/** Whether the window counts: no message lost, duplicated or refused, and the read models less than 2 s behind. */
export function isSound({ lost, doubled, refusals, abandoned, lag }: Window): boolean {
  return lost === 0 && doubled === 0 && refusals.size === 0 && !abandoned && lag < soundLag;
}

/** One line about a window, with its problems. */
export function describeWindow(name: string, window: Window): string {
  const { delivery, answer } = window;
  const refused = [...window.refusals].map(([code, count]) => `${count} ${code}`);
  const troubles = [
    ...(window.isDisturbed ? ['DISTURBED'] : []),
    ...(window.abandoned ? ['abandoned'] : []),
    ...(window.lost > 0 ? [`${window.lost} lost`] : []),
    ...(window.doubled > 0 ? [`${window.doubled} duplicated`] : []),
    ...(window.lag < soundLag ? [] : [`read models ${window.lag.toFixed(1)} s behind`]),
    ...refused,
  ];
  return [
    `${name}: ${window.rate}/s`,
    `delivery p50 ${delivery.p50.toFixed(1)}, p99 ${delivery.p99.toFixed(1)}, max ${delivery.max.toFixed(0)} ms`,
    `answer p50 ${answer.p50.toFixed(1)} ms`,
    `${window.cpuMicrosPerMessage.toFixed(0)} µs CPU per message`,
    `${(window.rssBytes / 2 ** 20).toFixed(0)} MiB`,
    `generator ${window.generatorMicrosPerMessage.toFixed(0)} µs per message, late p99 ${window.generatorLateP99.toFixed(1)} ms`,
    `others ${(window.othersCores * 100).toFixed(0)}% of a core`,
    ...troubles,
  ].join(', ');
}
