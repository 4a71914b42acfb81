import { parentPort, workerData } from 'node:worker_threads';
import { serveThread } from '../../base/workerThreads.js';
import { type Rendered, Renderer, type RenderOptions } from './render.js';

// `replay` starts the thread with this data.
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

/** The functions of the thread. */
export type RenderApi = typeof api;

if (parentPort) serveThread(parentPort, api);
