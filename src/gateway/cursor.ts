import { crc32 } from 'node:zlib';
import type { Moment } from '../commands/commands.js';
import { badRequest } from '../errors.js';

/** Tree sizes by partition: everything at an offset below has been handled. */
export type Vector = readonly number[];

/**
 * Where a connection has got to. `live`: everything below the vector. `walk`: a replay of what lies between
 * `from` and `to`, cut off in partition `partition` in the stream `key` behind the event at `offset`;
 * the partitions before it and the streams before `key` are done.
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

const join = (at: Vector): string => at.map((n) => n.toString(36)).join('-');

/**
 * Writes and reads cursors and revisions of one log. Their text is opaque to clients: a letter for the kind,
 * the log, the fields, and a CRC-32 against alteration (they grant nothing, so it need not be a signature).
 */
export class Cursors {
  readonly #log: string;
  readonly #partitions: number;

  constructor(logId: string, partitions: number) {
    this.#log = logId.replaceAll('-', '').slice(0, 12);
    this.#partitions = partitions;
  }

  live(at: Vector): string {
    return this.#seal(`L${this.#log}.${join(at)}`);
  }

  write(cursor: Cursor): string {
    if (cursor.kind === 'live') return this.live(cursor.at);
    const { from, to, partition, key, offset } = cursor;
    return this.#seal(`W${this.#log}.${join(from)}.${join(to)}.${partition}.${key}.${offset.toString(36)}`);
  }

  revision(moment: Moment): string {
    return this.#seal(`R${this.#log}.${moment.partition}.${moment.size.toString(36)}`);
  }

  /** Throws `bad_request` for anything but a cursor of this log; whether it is ahead of the log is not known here. */
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

  /** Throws `bad_request` for anything but a revision of this log; whether it is ahead of it is not known here. */
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
    if (head === undefined || head.slice(1) !== this.#log) throw refuse(name);
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

function refuse(name: string) {
  const message = `is not a ${name} of this log; take one as the server gave it`;
  return badRequest(`the ${name} ${message}`, [{ path: name, message }]);
}
