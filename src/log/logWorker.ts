import { parentPort, workerData } from 'node:worker_threads';
import { serveThread } from '../base/workerThreads.js';
import { createStoreApi } from './logFile.js';

// `startStoreThread` passes these options.
if (parentPort) serveThread(parentPort, createStoreApi(workerData));
