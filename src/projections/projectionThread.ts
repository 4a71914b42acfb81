import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { connect, type Remote } from '../threads/rpc.js';
import type { ProjectionApi, ProjectionNotice, ProjectionThreadData } from './projectionWorker.js';

/** The thread that folds, as the main one sees it. */
export interface ProjectionThread {
  readonly worker: Worker;
  readonly projector: Remote<ProjectionApi>;
  /** Takes rings. */
  readonly doorbell: MessagePort;
  /** Here `MainApi` is to be served. */
  readonly main: MessagePort;
  onNotice(notice: ProjectionNotice): void;
}

export function startProjectionThread(
  data: Omit<ProjectionThreadData, 'doorbell' | 'main'>,
): ProjectionThread {
  const doorbell = new MessageChannel();
  const main = new MessageChannel();
  const workerData: ProjectionThreadData = { ...data, doorbell: doorbell.port2, main: main.port2 };
  const worker = new Worker(new URL('./projectionWorker.js', import.meta.url), {
    workerData,
    transferList: [doorbell.port2, main.port2],
  });
  const thread: ProjectionThread = {
    worker,
    // The thread sends notices of this type only.
    projector: connect<ProjectionApi>(worker, (notice) => thread.onNotice(notice as ProjectionNotice)),
    doorbell: doorbell.port1,
    main: main.port1,
    onNotice: () => {},
  };
  return thread;
}
