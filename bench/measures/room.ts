import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { type CDPSession, chromium, type Page } from 'playwright-core';
import { mapLimited } from '../batches.js';
import { password } from '../systems/parley.js';
import type { BenchUser, Running } from '../systems/system.js';
import type { WireConnection } from '../wire/connection.js';
import { cell, type Measure, median, type Row } from './measure.js';

/** Scrolling, marks and their answers have ended by then. */
const quietMs = 600;
const goalMs = 8;
const goalOfJumpMs = 1000;
const toNewest = 'Go to the newest message';

/** Somebody who looks at a room in a browser, and the other member of it. */
interface Scene {
  readonly page: Page;
  readonly devTools: CDPSession;
  readonly friend: WireConnection;
  readonly origin: string;
}

interface Change {
  readonly name: string;
  prepare?(scene: Scene, roomId: string): Promise<unknown>;
  act(scene: Scene, roomId: string, n: number): Promise<unknown>;
}

async function say({ friend }: Scene, roomId: string, message: string): Promise<string> {
  const messageId = randomUUID();
  await friend.request('send message', { roomId, messageId, message });
  return messageId;
}

const field = ({ page }: Scene) => page.getByRole('textbox', { name: /^Message to/ });

async function sayMyself(scene: Scene, text: string): Promise<void> {
  await field(scene).fill(text);
  await field(scene).press('Enter');
}

let reactedTo = '';
const changes: readonly Change[] = [
  { name: 'a message that arrives', act: (scene, roomId, n) => say(scene, roomId, `arriving ${n}`) },
  { name: 'a message of one’s own', act: (scene, _, n) => sayMyself(scene, `own ${n}`) },
  {
    name: 'a mark of the other',
    prepare: (scene) => sayMyself(scene, 'to be read'),
    act: ({ friend }, roomId) => friend.request('read messages', { roomId }),
  },
  {
    name: 'a reaction',
    async prepare(scene, roomId) {
      reactedTo = await say(scene, roomId, 'to react to');
    },
    act: ({ friend }, roomId) =>
      friend.request('react', { roomId, messageId: reactedTo, emoji: '👍', on: true }),
  },
  { name: 'a typed letter', act: (scene) => field(scene).press('a') },
];

/** The processor's time in scripts of the page so far, in milliseconds: that of other programs does not count. */
async function scriptMs({ devTools }: Scene): Promise<number> {
  const { metrics } = await devTools.send('Performance.getMetrics');
  return 1000 * (metrics.find(({ name }) => name === 'ScriptDuration')?.value ?? Number.NaN);
}

/** The median time that scripts take for a change and all that follows it. */
async function cost(scene: Scene, roomId: string, change: Change, times: number): Promise<number> {
  const all: number[] = [];
  for (let n = 0; n < times; n++) {
    await change.prepare?.(scene, roomId);
    await wait(quietMs);
    const before = await scriptMs(scene);
    await change.act(scene, roomId, n);
    await wait(quietMs);
    all.push((await scriptMs(scene)) - before);
  }
  return median(all);
}

/** Opens a room and loads all its messages by scrolling up; then goes to its end again. */
async function openWhole({ page }: Scene, roomId: string): Promise<void> {
  await page.evaluate(`location.hash = 'room=${roomId}'`);
  await page.getByRole('textbox', { name: /^Message to/ }).waitFor();
  await page.getByRole('article').last().waitFor();
  await page.evaluate(`new Promise((resolve) => {
    let [frames, height] = [0, 0];
    const look = () => {
      const scroller = document.querySelector('.scroller');
      scroller.scrollTop = 0;
      frames = scroller.scrollHeight === height ? frames + 1 : 0;
      height = scroller.scrollHeight;
      if (frames === 40) resolve();
      else setTimeout(look, 25);
    };
    look();
  })`);
  await page
    .getByRole('button', { name: toNewest })
    .click({ timeout: 2000 })
    .catch(() => {});
  await wait(quietMs);
}

async function signIn(page: Page, running: Running, { username }: BenchUser): Promise<void> {
  await page.goto(running.server.origin);
  // The first press leads from the sign-up to the sign-in.
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByLabel('User name').fill(username);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('searchbox').waitFor();
}

/** Shows this many chats in the list. */
async function showAll(page: Page, chats: number): Promise<void> {
  const rows = page.getByRole('navigation', { name: 'Chats' }).getByRole('listitem');
  while ((await rows.count()) < chats)
    await page
      .getByRole('button', { name: 'Show older chats' })
      .click({ timeout: 2000 })
      .catch(() => {});
}

/** A user with a room of this many messages, another one of 50, and this many more chats. */
async function prepare(running: Running, messages: number, chats: number) {
  const [me, friend, other, ...others] = await running.signUp(3 + chats);
  if (!me || !friend || !other) throw new Error('signing up returned fewer users');
  const rooms = await running.rooms([friend, other, ...others].map((one) => [me, one] as const));
  const [long = '', short = '', ...more] = rooms;
  await running.fill(long, friend, messages);
  await running.fill(short, other, 50);
  await mapLimited(others, 16, async (one, i) => running.fill(more[i] ?? '', one, 1));
  return { me, friend, other, long, short, elsewhere: { by: others[0] ?? other, roomId: more[0] ?? short } };
}

/** Runs in the page: presses the pinned message, and gives the milliseconds until it is shown. */
const JUMP = `new Promise((resolve) => {
  const from = performance.now();
  document.querySelector('.pin').click();
  const look = () => {
    if (document.querySelector('.bubble.found')) resolve(performance.now() - from);
    else requestAnimationFrame(look);
  };
  look();
})`;

/** Measures, on a page that has just been opened, the time in ms from a click on the pinned first message until it is shown. */
async function jump(scene: Scene, roomId: string, times: number): Promise<{ ms: number; asked: number }> {
  const { page, friend, origin } = scene;
  // The contract.
  const page1 = (await friend.request('fetch messages', { roomId, after: 0, limit: 1 })) as {
    messages: { messageId: string }[];
  };
  await friend.request('pin message', { roomId, messageId: page1.messages[0]?.messageId, on: true });
  let asked = 0;
  page.on('websocket', (socket) =>
    socket.on('framesent', ({ payload }) => {
      if (String(payload).includes('fetch messages')) asked++;
    }),
  );
  const all: number[] = [];
  for (let n = 0; n < times; n++) {
    await page.goto('about:blank');
    await page.goto(`${origin}/#room=${roomId}`);
    await page.locator('.pin').waitFor();
    await page.getByRole('article').last().waitFor();
    await wait(quietMs);
    asked = 0;
    all.push(await page.evaluate<number>(JUMP));
  }
  return { ms: median(all), asked };
}

/** Measures what changes cost the page in a room of 10,000 messages and in one of 50, beside 1,000 chats. */
export const room: Measure = {
  name: 'room',
  async run({ systems, quick, log }) {
    const [messages, chats, times] = quick ? [1000, 50, 3] : [10_000, 1000, 11];
    const rows: Row[] = [];
    for (const system of systems.filter(({ name }) => name === 'parley-sqlite')) {
      const running = await system.start();
      const { me, friend, other, long, short, elsewhere } = await prepare(running, messages, chats);
      const { CHROMIUM: executablePath = '/usr/bin/chromium-headless-shell' } = process.env;
      const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
      const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, locale: 'en-GB' });
      const devTools = await page.context().newCDPSession(page);
      await devTools.send('Performance.enable', { timeDomain: 'threadTicks' });
      const { origin } = running.server;
      await signIn(page, running, me);
      await showAll(page, 2 + chats);
      const figures: Record<string, number[]> = {};
      for (const [roomId, by] of [
        [short, other],
        [long, friend],
      ] as const) {
        const scene: Scene = { page, devTools, friend: await running.connect(by), origin };
        await openWhole(scene, roomId);
        for (const change of changes) {
          const ms = await cost(scene, roomId, change, times);
          log(`${system.name}: ${change.name}: ${ms.toFixed(1)} ms`);
          figures[change.name] = [...(figures[change.name] ?? []), ms];
        }
      }
      const scene: Scene = { page, devTools, friend: await running.connect(elsewhere.by), origin };
      const inList: Change = {
        name: 'list',
        act: (_, __, n) => say(scene, elsewhere.roomId, `elsewhere ${n}`),
      };
      figures['a message in another chat'] = [await cost(scene, elsewhere.roomId, inList, times)];
      log(`${system.name}: ${figures['a message in another chat']?.join()}`);
      const there = await jump({ ...scene, friend: await running.connect(friend) }, long, times);
      await browser.close();
      await running.stop();
      rows.push({
        measure: `the way to the first of ${messages.toLocaleString('en')} messages`,
        goal: `< ${goalOfJumpMs} ms, ≤ 2 requests`,
        cells: [
          cell(
            system.name,
            `${there.ms.toFixed(0)} ms, ${there.asked} requests`,
            there.ms < goalOfJumpMs && there.asked <= 2,
          ),
        ],
      });
      for (const [name, values] of Object.entries(figures)) {
        const value = `${values.map((ms) => ms.toFixed(1)).join('; ')} ms`;
        rows.push({
          measure: `${name}: scripts in rooms of 50; ${messages.toLocaleString('en')} messages`,
          goal: `< ${goalMs} ms`,
          cells: [cell(system.name, value, Math.max(...values) < goalMs)],
        });
      }
    }
    return rows;
  },
};
