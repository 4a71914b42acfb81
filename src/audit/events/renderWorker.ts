import { parentPort, workerData } from 'node:worker_threads';
import { serveThread } from '../../base/workerThreads.js';
import { type Rendered, Renderer, type RenderOptions } from './render.js';

// The thread is started with these by `replay`.
const data = workerData as RenderOptions;
let opened: Promise<Renderer> | undefined;

const api = {
  async render(partition: number, after: number, upTo: number): Promise<Rendered> {
    opened ??= Renderer.open(data);
    return (await opened).render(partition, after, upTo);
  },
  async close(): Promise<void> {
    await (await opened)?.close();
  },
};

/** What the thread does. */
export type RenderApi = typeof api;

if (parentPort) serveThread(parentPort, api);
