import { type Profiler, Session } from 'node:inspector';
import { createServer, type Socket } from 'node:net';
import { basename } from 'node:path';
import {
  BroadcastChannel,
  isMainThread,
  type MessagePort,
  receiveMessageOnPort,
  threadId,
} from 'node:worker_threads';
import type { Called, ThreadCoverage } from './report.js';

/**
 * Counts calls of functions in every thread of a server: run it with `NODE_OPTIONS=--import=…`. The main thread
 * listens on the socket `BENCH_COVERAGE_SOCKET`. It answers each line with one line: the functions that ran in each
 * thread since the line before. It takes its own counts at once, and those of other threads as soon as they answer.
 */

const CHANNEL = 'bench-coverage';
const answerTimeoutMs = 3000;
const sliceMs = 20;
/** The program of this thread, without its ending. */
const name = basename(process.argv[1] ?? '', '.js');
const session = new Session();
session.connect();

type Notice =
  | { readonly kind: 'started'; readonly thread: number }
  | { readonly kind: 'take'; readonly turn: number }
  | { readonly kind: 'taken'; readonly turn: number; readonly coverage: ThreadCoverage };

/** A command of the profiler runs before `post` returns. */
function profile(method: 'Profiler.enable'): void;
function profile(
  method: 'Profiler.startPreciseCoverage',
  params: Profiler.StartPreciseCoverageParameterType,
): void;
function profile(method: string, params?: object): void {
  session.post(method, params, (error) => {
    if (error) throw new Error(`${method} failed`, { cause: error });
  });
}

/** The functions of the program that ran in this thread since the last call. */
function take(): ThreadCoverage {
  const called: Called[] = [];
  session.post('Profiler.takePreciseCoverage', (error, found) => {
    if (error) throw error;
    for (const { url, functions } of found.result) {
      if (!url.includes('/dist/src/')) continue;
      for (const { functionName, ranges } of functions) {
        const [range] = ranges;
        if (range && range.count > 0)
          called.push({ url, name: functionName, at: range.startOffset, calls: range.count });
      }
    }
  });
  return { thread: threadId, name, called };
}

profile('Profiler.enable');
profile('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
const channel = new BroadcastChannel(CHANNEL);
channel.unref();
const tell = (notice: Notice) => channel.postMessage(notice);

if (isMainThread) serve(process.env.BENCH_COVERAGE_SOCKET ?? '');
else {
  channel.onmessage = ({ data }: { data: Notice }) => answer(data);
  answerWhileBlocked();
  tell({ kind: 'started', thread: threadId });
}

function answer(notice: Notice): void {
  if (notice.kind === 'take') tell({ kind: 'taken', turn: notice.turn, coverage: take() });
}

/** Lets a thread answer that waits for shared memory and so handles no messages: it looks for them every 20 ms. */
function answerWhileBlocked(): void {
  const sleep = Atomics.wait;
  // Node takes a channel too; its types do not say so.
  const port = channel as unknown as MessagePort;
  Atomics.wait = (array: Int32Array | BigInt64Array, index: number, value: never, timeoutMs = Infinity) => {
    const until = performance.now() + timeoutMs;
    for (;;) {
      const restMs = Math.max(0, until - performance.now());
      const outcome = sleep(array as Int32Array, index, value, Math.min(restMs, sliceMs)); // either type will do
      if (outcome !== 'timed-out' || restMs <= sliceMs) return outcome;
      for (let got = receiveMessageOnPort(port); got; got = receiveMessageOnPort(port)) answer(got.message);
    }
  };
}

/** Answers the benchmark. A thread that does not answer in 3 s, for example because it ended, is left out. */
function serve(path: string): void {
  const threads = new Set<number>();
  let turn = 0;
  let heard: ((coverage: ThreadCoverage) => void) | undefined;

  channel.onmessage = ({ data }: { data: Notice }) => {
    if (data.kind === 'started') threads.add(data.thread);
    if (data.kind === 'taken' && data.turn === turn) heard?.(data.coverage);
  };

  function takeAll(socket: Socket): void {
    const all = [take()];
    const open = new Set(threads);
    turn++;
    const finish = () => {
      clearTimeout(timer);
      heard = undefined;
      for (const thread of open) threads.delete(thread);
      socket.write(`${JSON.stringify(all)}\n`);
    };
    const timer = setTimeout(finish, answerTimeoutMs);
    heard = (coverage) => {
      all.push(coverage);
      open.delete(coverage.thread);
      if (open.size === 0) finish();
    };
    tell({ kind: 'take', turn });
  }

  const server = createServer((socket) => {
    socket.unref();
    socket.on('data', () => takeAll(socket));
  });
  server.listen(path);
  server.unref();
}
