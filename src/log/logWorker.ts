import { parentPort, workerData } from 'node:worker_threads';
import { serveThread } from '../base/workerThreads.js';
import { createStoreApi } from './logFile.js';

// The options are those that the thread was started with.
if (parentPort) serveThread(parentPort, createStoreApi(workerData));
