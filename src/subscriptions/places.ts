import { SinceTime } from '../audit/events/eventFilter.js';
import { ParleyError } from '../base/errors.js';
import { type Cursors, momentsOf, type Vector } from '../gateway/cursor.js';
import { findLastCommit, type LogSource } from '../log/checkLog.js';
import type { ReadableLog } from './eventReader.js';

/** A log whose partitions end somewhere. */
export interface EndedLog extends Pick<LogSource, 'tail'> {
  readonly partitions: number;
}

/** The ends of all partitions, as they are now. */
export async function endsOf(log: EndedLog): Promise<Vector> {
  const sizeOf = async (_: unknown, partition: number) => (await log.tail(partition))?.size ?? 0;
  return Promise.all(Array.from({ length: log.partitions }, sizeOf));
}

/** Where the host's server begins to read: `now`, `start`, the first event of a time on, or a cursor. */
export class Places {
  readonly #log: ReadableLog;
  readonly #cursors: Cursors;

  constructor(log: ReadableLog, cursors: Cursors) {
    this.#log = log;
    this.#cursors = cursors;
  }

  cursorOf(at: Vector): string {
    return this.#cursors.live(at);
  }

  /** Throws `bad_request`, which names the field, for a text that is no place in this log. */
  async find(text: string, field: string): Promise<Vector> {
    if (text === 'start') return Array.from({ length: this.#log.partitions }, () => 0);
    const ends = await endsOf(this.#log);
    if (text === 'now') return ends;
    const time = SinceTime.safeParse(text);
    if (time.success) return this.#atTime(time.data);
    const at = this.#parseCursor(text, field);
    const isAhead = momentsOf(at).some(({ partition, size }) => size > (ends[partition] ?? 0));
    if (isAhead) throw refuse(field, 'is newer than this log; begin anew', 'history');
    return at;
  }

  #parseCursor(text: string, field: string): Vector {
    try {
      const cursor = this.#cursors.parseCursor(text);
      if (cursor.kind === 'live') return cursor.at;
    } catch (error) {
      if (!(error instanceof ParleyError)) throw error;
      if (error.details.reason === 'history')
        throw refuse(
          field,
          'is of another history of the log, such as one before a restore; begin anew',
          'history',
        );
    }
    throw refuse(field, 'must be now, start, a time such as 2026-01-31T12:00:00Z, or a cursor of this log');
  }

  /** The number of events of each partition before this time. */
  #atTime(time: string): Promise<Vector> {
    const before = async (_: unknown, partition: number): Promise<number> => {
      const upTo = (await this.#log.tail(partition))?.position ?? 0;
      const range = { partition, after: 0, upTo };
      const position = await findLastCommit(this.#log, range, ({ recordedAt }) => recordedAt < time);
      const [place] = position > 0 ? await this.#log.places(partition, [position]) : [];
      return place?.size ?? 0;
    };
    return Promise.all(Array.from({ length: this.#log.partitions }, before));
  }
}

function refuse(field: string, message: string, reason?: 'history'): ParleyError {
  const fields = [{ path: field, message }];
  return new ParleyError('bad_request', `${field} ${message}`, {
    fields,
    ...(reason === undefined ? {} : { reason }),
  });
}
