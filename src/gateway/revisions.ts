import type { Moment } from '../commands/commands.js';
import { badRequest, overloaded, type ParleyError } from '../errors.js';
import type { EventLog } from '../log/log.js';
import type { Cursor, Cursors, Vector } from './cursor.js';

const WAIT_MS = 5000;

/** What the fan-out of this node tells of itself. */
export interface Horizon {
  readonly vector: Vector;
  reached(partition: number, size: number): { promise: Promise<void>; cancel: () => void };
  /** The partition is known to reach this position: reads up to it. */
  hear(partition: number, position: number): void;
}

/**
 * Reads cursors and revisions that clients give back. One that is ahead of this node is judged by the log itself: it
 * is a `bad_request` if the log does not reach there, and is waited for if it does (`overloaded` after 5 s).
 */
export class Revisions {
  readonly #cursors: Cursors;
  readonly #log: Pick<EventLog, 'tail'>;
  readonly #horizon: Horizon;

  constructor(cursors: Cursors, log: Pick<EventLog, 'tail'>, horizon: Horizon) {
    this.#cursors = cursors;
    this.#log = log;
    this.#horizon = horizon;
  }

  async parse(text: string): Promise<Moment> {
    const moment = this.#cursors.parseRevision(text);
    await this.#reach(moment, () => ahead('revision'));
    return moment;
  }

  /** How far the log is, by partition. */
  present(): Promise<Moment[]> {
    const sizeOf = async (_: number, partition: number) => ({
      partition,
      size: (await this.#log.tail(partition))?.size ?? 0,
    });
    return Promise.all(this.#horizon.vector.map(sizeOf));
  }

  async parseCursor(text: string): Promise<Cursor> {
    const cursor = this.#cursors.parseCursor(text);
    const at = cursor.kind === 'live' ? cursor.at : cursor.to;
    await Promise.all(at.map((size, partition) => this.#reach({ partition, size }, () => ahead('cursor'))));
    return cursor;
  }

  /** Resolves when this node has fanned out all of these moments, which the log has; `overloaded` after 5 s. */
  async reached(moments: readonly Moment[]): Promise<void> {
    const refuse = () => overloaded('the log is not known to reach there');
    await Promise.all(moments.map((moment) => this.#reach(moment, refuse)));
  }

  async #reach({ partition, size }: Moment, refuse: () => ParleyError): Promise<void> {
    if (size <= (this.#horizon.vector[partition] ?? 0)) return;
    const tail = await this.#log.tail(partition);
    if (!tail || size > tail.size) throw refuse();
    this.#horizon.hear(partition, tail.position);
    const { promise, cancel } = this.#horizon.reached(partition, size);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(overloaded('this node has not yet read that far')), WAIT_MS);
    });
    try {
      await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
      cancel();
    }
  }
}

function ahead(name: string): ParleyError {
  const message = `is a ${name} of a moment that this log has not reached`;
  return badRequest(`it ${message}`, [{ path: name, message }]);
}
