import { setTimeout as wait } from 'node:timers/promises';
import { CoverageClient } from '../coverage/client.js';
import { countOf, PathFinder, type ThreadCoverage } from '../coverage/report.js';
import { takeMessages } from '../load.js';
import type { System } from '../systems/system.js';
import type { WireConnection } from '../wire/connection.js';
import { firstSend } from '../wire/dialect.js';
import type { FrameTemplate } from '../wire/frames.js';
import { text } from './conversation.js';
import { cell, type Measure } from './measure.js';

const rehearsals = 20;
const most = { functions: 120, files: 30 };

/** What one message runs: until it has its answer and its push, and after that, which is mostly for read models. */
interface Found {
  readonly toPush: readonly ThreadCoverage[];
  readonly after: readonly ThreadCoverage[];
}

/** Sends one message, and resolves when the sender has the answer and the other member the push. */
async function sendOne(from: WireConnection, to: WireConnection, template: FrameTemplate): Promise<void> {
  const message = takeMessages(1);
  const answered = new Promise<void>((resolve, reject) => {
    from.listener = {
      acknowledged: () => resolve(),
      refused: (_, code) => reject(new Error(`the message was refused: ${code}`)),
    };
  });
  const pushed = new Promise<void>((resolve) => {
    to.listener = { delivered: () => resolve() };
  });
  from.send(template.fill(firstSend + message, message));
  await Promise.all([answered, pushed]);
}

/**
 * Finds the functions of a message in a new server, from several single messages. The first count is taken as soon as
 * both clients have been told, so that it has little of what comes after; what only some messages run is no part of it.
 */
async function pathOf({ start }: System, windows: number, windowMs: number): Promise<Found> {
  const coverage = new CoverageClient();
  const running = await start({ env: coverage.env });
  try {
    const [user, friend] = await running.signUp(2);
    if (!user || !friend) throw new Error('signing up two users returned fewer');
    const [roomId = ''] = await running.rooms([[user, friend]]);
    const template = running.dialect.template(roomId, text);
    const [from, to] = [await running.connect(user), await running.connect(friend)];
    for (let i = 0; i < rehearsals; i++) await sendOne(from, to, template);
    await wait(windowMs);
    await coverage.take();
    const [toPush, after] = [new PathFinder(), new PathFinder()];
    for (let i = 0; i < windows; i++) {
      await wait(windowMs);
      const idle = await coverage.take();
      toPush.idled(idle);
      after.idled(idle);
      await sendOne(from, to, template);
      toPush.sent(await coverage.take());
      await wait(windowMs);
      after.sent(await coverage.take());
    }
    for (const connection of [from, to]) connection.close();
    return { toPush: toPush.path(), after: after.path() };
  } finally {
    coverage.close();
    await running.stop();
  }
}

/** One line for each function, by thread and file. */
function listOf(path: readonly ThreadCoverage[]): string[] {
  return path.flatMap(({ thread, name, called }) =>
    called
      .map(({ url, at, name: of, calls }) => {
        const file = url.slice(url.indexOf('/dist/') + '/dist/'.length);
        return `  ${name} ${thread}  ${file}  ${of || `(anonymous at ${at})`}  ${calls.toFixed(1)}×`;
      })
      .sort(),
  );
}

/** Counts the functions and files of the program that one message runs through. */
export const path: Measure = {
  name: 'path',
  async run({ systems, quick, isListing, log }) {
    const toPush = [];
    const after = [];
    for (const system of systems) {
      if (!system.name.startsWith('parley')) continue;
      const found = await pathOf(system, quick ? 6 : 12, quick ? 500 : 1500);
      if (isListing) log(listOf(found.toPush).join('\n'));
      for (const thread of found.toPush)
        log(`${system.name}: ${thread.name} ${thread.thread}: ${format([thread])}`);
      const { functions, files } = countOf(found.toPush);
      const isReached = functions <= most.functions && files <= most.files;
      const threads = found.toPush.length;
      toPush.push(cell(system.name, `${format(found.toPush)}, ${threads} threads`, isReached));
      after.push(cell(system.name, `${format(found.after)}, ${found.after.length} threads`));
    }
    if (toPush.length === 0) return [];
    const goal = `≤ ${most.functions} functions in ${most.files} files`;
    return [
      { measure: 'functions of one message, to its answer and push', goal, cells: toPush },
      { measure: 'functions of one message after that', goal: '', cells: after },
    ];
  },
};

function format(threads: readonly ThreadCoverage[]): string {
  const { functions, files } = countOf(threads);
  return `${functions} functions in ${files} files`;
}
