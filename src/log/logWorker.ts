import { parentPort, workerData } from 'node:worker_threads';
import { serve } from '../base/rpc.js';
import { makeStoreApi } from './logFile.js';

// The options are those that the thread was started with.
if (parentPort) serve(parentPort, makeStoreApi(workerData));
