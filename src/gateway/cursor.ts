import { crc32 } from 'node:zlib';
import { type Clock, systemClock, withTimeout } from '../base/clock.js';
import { overloaded, ParleyError } from '../base/errors.js';
import type { Moment } from '../domain/commands.js';
import type { EventLog } from '../log/log.js';

/** By partition, a tree size: everything at an offset below it has been handled. */
export type Vector = readonly number[];

/** The moments in a vector: of each partition, or of one alone. */
export function momentsOf(at: Vector, partition?: number): Moment[] {
  const momentOf = (size: number, of: number) => (size > 0 ? [{ partition: of, size }] : []);
  return partition === undefined ? at.flatMap(momentOf) : momentOf(at[partition] ?? 0, partition);
}

/**
 * The place that a connection has reached. `live`: it has everything below the vector. `walk`: a replay of the events
 * between `from` and `to` was interrupted in partition `partition`, in the stream `key`, after the event at `offset`.
 * Earlier partitions, and streams before `key`, are done.
 */
export type Cursor =
  | { readonly kind: 'live'; readonly at: Vector }
  | {
      readonly kind: 'walk';
      readonly from: Vector;
      readonly to: Vector;
      readonly partition: number;
      readonly key: string;
      readonly offset: number;
    };

function join(at: Vector): string {
  let text = '';
  for (const n of at) text += text === '' ? n.toString(36) : `-${n.toString(36)}`;
  return text;
}

/**
 * Writes and reads cursors and revisions of one history of a log. Their text is opaque to clients: a letter for the
 * kind, the history, the fields, and a CRC-32. They grant nothing, so the checksum need not be a signature.
 */
export class Cursors {
  readonly #history: string;
  readonly #partitions: number;

  constructor(history: string, partitions: number) {
    this.#history = history.replaceAll('-', '').slice(0, 12);
    this.#partitions = partitions;
  }

  live(at: Vector): string {
    return this.#seal(`L${this.#history}.${join(at)}`);
  }

  write(cursor: Cursor): string {
    if (cursor.kind === 'live') return this.live(cursor.at);
    const { from, to, partition, key, offset } = cursor;
    return this.#seal(
      `W${this.#history}.${join(from)}.${join(to)}.${partition}.${key}.${offset.toString(36)}`,
    );
  }

  revision(moment: Moment): string {
    return this.#seal(`R${this.#history}.${moment.partition}.${moment.size.toString(36)}`);
  }

  /** Throws `bad_request` for anything but a cursor of this log. Does not know whether the log reaches there. */
  parseCursor(text: string): Cursor {
    const [kind, ...fields] = this.#open(text, 'cursor');
    if (kind === 'L' && fields.length === 1) return { kind: 'live', at: this.#vector(fields[0], 'cursor') };
    const [from, to, partition, key, offset] = fields;
    if (kind !== 'W' || key === undefined) throw refuse('cursor');
    return {
      kind: 'walk',
      from: this.#vector(from, 'cursor'),
      to: this.#vector(to, 'cursor'),
      partition: this.#partition(partition, 'cursor'),
      key,
      offset: number(offset, 36, 'cursor'),
    };
  }

  /** Throws `bad_request` for anything but a revision of this log. Does not know whether the log reaches there. */
  parseRevision(text: string): Moment {
    const [kind, partition, size] = this.#open(text, 'revision');
    if (kind !== 'R') throw refuse('revision');
    return { partition: this.#partition(partition, 'revision'), size: number(size, 36, 'revision') };
  }

  #seal(body: string): string {
    return `${body}.${crc32(body).toString(36)}`;
  }

  #open(text: string, name: string): string[] {
    const dot = text.lastIndexOf('.');
    const body = text.slice(0, dot);
    if (dot < 0 || crc32(body).toString(36) !== text.slice(dot + 1)) throw refuse(name);
    const [head, ...fields] = body.split('.');
    if (head === undefined) throw refuse(name);
    if (head.slice(1) !== this.#history) throw refuseHistory(name);
    return [head.charAt(0), ...fields];
  }

  #vector(text: string | undefined, name: string): Vector {
    const at = (text ?? '').split('-').map((part) => number(part, 36, name));
    if (at.length !== this.#partitions) throw refuse(name);
    return at;
  }

  #partition(text: string | undefined, name: string): number {
    const partition = number(text, 10, name);
    if (partition >= this.#partitions) throw refuse(name);
    return partition;
  }
}

function number(text: string | undefined, radix: number, name: string): number {
  const n = Number.parseInt(text ?? '', radix);
  if (!Number.isSafeInteger(n) || n < 0 || n.toString(radix) !== text) throw refuse(name);
  return n;
}

const refuse = (name: string): ParleyError =>
  refuseWith(name, `is not a ${name} of this log; take one as the server gave it`);

/** It was whole once: the data was replaced or restored since, or it is of another server. */
const refuseHistory = (name: string): ParleyError =>
  refuseWith(
    name,
    `is of another history of the log, such as one before a restore; begin without it`,
    'history',
  );

function refuseWith(name: string, message: string, reason?: 'history'): ParleyError {
  const fields = [{ path: name, message }];
  return new ParleyError('bad_request', `the ${name} ${message}`, {
    fields,
    ...(reason === undefined ? {} : { reason }),
  });
}

/** The longest wait for a cursor or revision that is ahead of this node. */
const REACH_TIMEOUT_MS = 5000;

/** The progress of this node's fan-out. */
export interface FanoutProgress {
  readonly vector: Vector;
  reached(partition: number, size: number): { promise: Promise<void>; cancel: () => void };
  /** Reads up to this position, which the partition is known to reach. */
  noteTail(partition: number, position: number): void;
}

/**
 * Reads cursors and revisions that clients send back. One that is ahead of the log is a `bad_request`. One that is only
 * ahead of this node waits for the fan-out (`overloaded` after 5 s).
 */
export class Revisions {
  readonly #cursors: Cursors;
  readonly #log: Pick<EventLog, 'tail'>;
  readonly #fanout: FanoutProgress;
  readonly #clock: Clock;

  constructor(
    cursors: Cursors,
    log: Pick<EventLog, 'tail'>,
    fanout: FanoutProgress,
    clock: Clock = systemClock,
  ) {
    this.#cursors = cursors;
    this.#log = log;
    this.#fanout = fanout;
    this.#clock = clock;
  }

  /** The present vector of this node's fan-out. */
  get fannedOut(): Vector {
    return this.#fanout.vector;
  }

  /** The cursor of a client that has handled everything below the vector. */
  liveCursor(at: Vector): string {
    return this.#cursors.live(at);
  }

  /** The revision of a command's moment. */
  revision(moment: Moment): string {
    return this.#cursors.revision(moment);
  }

  async parse(text: string): Promise<Moment> {
    const moment = this.#cursors.parseRevision(text);
    await this.#reach(moment, () => refuseAhead('revision'));
    return moment;
  }

  /** The present size of the log, by partition. */
  present(): Promise<Moment[]> {
    const sizeOf = async (_: number, partition: number) => ({
      partition,
      size: (await this.#log.tail(partition))?.size ?? 0,
    });
    return Promise.all(this.#fanout.vector.map(sizeOf));
  }

  async parseCursor(text: string): Promise<Cursor> {
    const cursor = this.#cursors.parseCursor(text);
    const at = cursor.kind === 'live' ? cursor.at : cursor.to;
    await Promise.all(
      at.map((size, partition) => this.#reach({ partition, size }, () => refuseAhead('cursor'))),
    );
    return cursor;
  }

  /** Resolves when this node has fanned out all of these moments. Rejects with `overloaded` after 5 s. */
  async reached(moments: readonly Moment[]): Promise<void> {
    const refuse = () => overloaded('this node has not found these events in the log; try again');
    await Promise.all(moments.map((moment) => this.#reach(moment, refuse)));
  }

  async #reach({ partition, size }: Moment, refuse: () => ParleyError): Promise<void> {
    if (size <= (this.#fanout.vector[partition] ?? 0)) return;
    const tail = await this.#log.tail(partition);
    if (!tail || size > tail.size) throw refuse();
    this.#fanout.noteTail(partition, tail.position);
    const { promise, cancel } = this.#fanout.reached(partition, size);
    const refuseLate = () => overloaded('this node has not yet read these events; try again');
    try {
      await withTimeout(this.#clock, REACH_TIMEOUT_MS, promise, refuseLate);
    } finally {
      cancel();
    }
  }
}

/** A log that was put back from a backup without a new history ends before such a cursor. */
const refuseAhead = (name: string): ParleyError =>
  refuseWith(
    name,
    `is newer than this log; ${name === 'cursor' ? 'reconnect' : 'repeat the request'} without it`,
    'history',
  );
