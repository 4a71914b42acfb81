import type { BenchUser, Running, System } from '../systems/system.js';
import {
  type Conversation,
  connectAll,
  describeWindow,
  isSound,
  measureWindow,
  prepareConversation,
  type Window,
  warmUp,
} from './conversation.js';
import { cell, type Measure, median } from './measure.js';

const rate = 1000;
const rounds = 3;
const signInsPerSecond = 20;
const bcryptCost = 12;

/** Sends 20 sign-ins per second without waiting for answers. The returned function stops it and counts the outcomes. */
function flood(running: Running, user: BenchUser): () => Promise<{ served: number; refused: number }> {
  const outcomes: Promise<boolean>[] = [];
  const timer = setInterval(() => {
    const outcome = running.signIn?.(user) ?? Promise.resolve(false);
    // Rejections are thrown where the outcomes are counted.
    outcome.catch(() => {});
    outcomes.push(outcome);
  }, 1000 / signInsPerSecond);
  return async () => {
    clearInterval(timer);
    const served = (await Promise.all(outcomes)).filter(Boolean).length;
    return { served, refused: outcomes.length - served };
  };
}

async function compare(
  { running, pairs }: Conversation,
  quick: boolean,
  log: (line: string) => void,
): Promise<{ quiet: number; busy: number; sound: boolean }> {
  await running.restart('stop', { bcryptCost });
  // A password is checked at the bcrypt cost it was hashed with, so this user must sign up after the restart.
  const [user] = await running.signUp(1);
  if (!user) throw new Error('signing up a user returned no user');
  const senders = await connectAll({ running, pairs });
  await warmUp(running, senders, rate, quick);
  const span = { warmupMs: quick ? 1000 : 3000, windowMs: quick ? 3000 : 8000 };
  const quiet: Window[] = [];
  const busy: Window[] = [];
  for (let round = 0; round < rounds; round++) {
    const calm = await measureWindow(running, senders, rate, span);
    log(describeWindow('without sign-ins', calm));
    const stop = flood(running, user);
    const flooded = await measureWindow(running, senders, rate, span);
    const { served, refused } = await stop();
    log(`${describeWindow('with sign-ins', flooded)}, ${served} signed in, ${refused} refused`);
    quiet.push(calm);
    busy.push(flooded);
  }
  for (const { connection } of senders) connection.close();
  const p99 = (windows: readonly Window[]) => median(windows.map((window) => window.delivery.p99));
  return { quiet: p99(quiet), busy: p99(busy), sound: [...quiet, ...busy].every(isSound) };
}

async function measureSystem(system: System, quick: boolean, log: (line: string) => void) {
  const running = await system.start();
  try {
    if (!running.signIn) return cell(system.name, '—');
    const { quiet, busy, sound } = await compare(await prepareConversation(running), quick, log);
    const ratio = busy / quiet;
    const value = `${ratio.toFixed(2)}× (${quiet.toFixed(1)} and ${busy.toFixed(1)} ms)`;
    return cell(system.name, value, ratio <= 2 && sound);
  } finally {
    await running.stop();
  }
}

/** Measures whether a flood of sign-ins slows messages down. */
export const signIns: Measure = {
  name: 'sign-ins',
  async run({ systems, quick, log }) {
    const cells = [];
    for (const system of systems) cells.push(await measureSystem(system, quick, log));
    const measure = `message p99 at 1,000/s during ${signInsPerSecond} sign-ins per second`;
    return [{ measure, goal: '≤ 2× the p99 without sign-ins', cells }];
  },
};
