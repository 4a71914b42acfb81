import { createHash } from 'node:crypto';
import { encodeEvent } from '../../src/domain/codec.js';
import type { Recorded } from '../../src/domain/events.js';
import { streamOf } from '../../src/domain/ids.js';
import { buildCommit, emptyHead, type Head } from '../../src/log/commit.js';
import type { Commit } from '../../src/log/log.js';
import type { AnyProjection, Folded, Projection } from '../../src/projections/projection.js';
import type { Model, RowReader } from '../../src/projections/store/rowStore.js';

/** Every event of a room, in order: any that is missed, repeated or out of order gives another digest. */
export interface Digest {
  readonly digest: string;
  readonly count: number;
}

export const digestsModel: Model<Digest> = {
  name: 'digests',
  version: 1,
  indexes: { all: ({ offset }) => ({ terms: ['all'], sort: offset }) },
};

const digests: Projection<Digest> = {
  model: digestsModel,
  keys: (event) => ('roomId' in event.data ? [event.data.roomId] : []),
  evolve: (value, event) => ({
    digest: createHash('sha256').update(`${value?.digest} ${event.offset}`).digest('hex'),
    count: (value?.count ?? 0) + 1,
  }),
};

/** A message, as long as it is not removed. */
export interface Line {
  readonly messageId: string;
  /** How often it was read. */
  readonly reads: number;
}

/** A line that was read has one term more: terms come and go. */
export const linesModel: Model<Line> = {
  name: 'lines',
  version: 1,
  indexes: {
    id: ({ value: { messageId, reads } }) => ({
      terms: reads > 0 ? [messageId, `read ${reads}`] : [messageId],
      sort: reads,
    }),
  },
};

/** One row an event that makes it. A later event changes it, or removes it, by its offset. */
const lines: Projection<Line> = {
  model: linesModel,
  keys({ type, data, partition, offset }) {
    if (type === 'MessageSent') return [`line ${partition}/${offset}`];
    return type === 'MessagesRead' && data.upTo < offset ? [`line ${partition}/${data.upTo}`] : [];
  },
  creates: ({ type }) => type === 'MessageSent',
  evolve(line, event) {
    if (event.type === 'MessageSent') return { messageId: event.data.messageId, reads: 0 };
    const isRemoved = event.type === 'MessagesRead' && event.data.upTo % 4 === 2;
    return line && !isRemoved ? { ...line, reads: line.reads + 1 } : null;
  },
  isRarelyChanged: () => true,
};

export const presentModel: Model<{ readonly since: number }> = { name: 'present', version: 1, indexes: {} };

/** Who is online; who is not leaves a tombstone. */
const present: Projection<{ readonly since: number }> = {
  model: presentModel,
  keys: (event) =>
    event.type === 'UserWentOnline' || event.type === 'UserWentOffline' ? [event.data.userId] : [],
  evolve: (value, event) => (event.type === 'UserWentOnline' ? (value ?? { since: event.offset }) : null),
};

/** Small projections with a row of each kind: changing, made by one event and changed later, and gone. */
export const allProjections = (): readonly AnyProjection[] => [digests, lines, present];

/** What an event of a test says, in short. */
export type Note =
  | { readonly room: number; readonly message: number }
  | { readonly room: number; readonly read: number }
  | { readonly user: number; readonly isOnline: boolean };

const actor = '00000000-0000-4000-8000-000000000001';

function leafOf(note: Note, recordedAt: string): string {
  const common = { version: 1, actor, recordedAt, commandId: actor };
  if ('user' in note) {
    const userId = `user ${note.user}`;
    const stream = streamOf('user', userId);
    return note.isOnline
      ? encodeEvent({ ...common, stream, type: 'UserWentOnline', data: { userId } })
      : encodeEvent({ ...common, stream, type: 'UserWentOffline', data: { userId, lastSeen: recordedAt } });
  }
  const roomId = `room ${note.room}`;
  const stream = streamOf('room', roomId);
  if ('read' in note) {
    const data = { roomId, userId: actor, upTo: note.read };
    return encodeEvent({ ...common, stream, type: 'MessagesRead', data });
  }
  const data = { roomId, messageId: `message ${note.message}`, seq: note.message, text: 'sealed' };
  return encodeEvent({ ...common, stream, type: 'MessageSent', data });
}

/** Makes the commits of one partition, one after another. */
export class Pages {
  #head: Head;

  constructor(partition = 0) {
    this.#head = emptyHead(partition);
  }

  next(notes: readonly Note[], recordedAt = new Date().toISOString()): Commit {
    return this.nextOf(
      notes.map((note) => leafOf(note, recordedAt)),
      recordedAt,
    );
  }

  nextOf(leaves: readonly string[], recordedAt = new Date().toISOString()): Commit {
    const id = `commit ${this.#head.position + 1}`;
    const { commit, head } = buildCommit({ head: this.#head, id, epoch: 1, recordedAt, leaves });
    this.#head = head;
    return commit;
  }
}

/** The same commits each time: messages, reads of earlier ones, which change or remove them, and presence. */
export function story(length: number): Commit[] {
  const pages = new Pages();
  return Array.from({ length }, (_, n) =>
    pages.next(
      [
        { room: n % 3, message: n },
        { room: (n + 1) % 3, read: 3 * Math.floor(n / 2) },
        { user: n % 2, isOnline: n % 5 > 0 },
      ],
      '2026-01-01T00:00:00.000Z',
    ),
  );
}

/** All rows of the models, tombstones too, as text by model and key; keys are those that the events name. */
export async function rowsOf(reader: RowReader, events: readonly Recorded[]): Promise<Map<string, string>> {
  const rows = new Map<string, string>();
  for (const projection of allProjections()) {
    const keys = [...new Set(events.flatMap((event) => projection.keys(event)))];
    // The rows are only shown.
    const model = projection.model as Model<unknown>;
    for (const row of (await reader.get(model, keys)).values())
      rows.set(`${model.name} ${row.key}`, JSON.stringify([row.offset, row.value]));
  }
  return rows;
}

/** The same from a plain fold, event by event, of nothing but the projections. */
export function foldedRows(events: readonly Folded[]): Map<string, string> {
  const rows = new Map<string, string>();
  for (const projection of allProjections()) {
    const values = new Map<string, unknown>();
    for (const event of events)
      for (const key of projection.keys(event)) {
        values.set(
          key,
          projection.evolve(values.get(key), event, key, (other) => values.get(other)),
        );
        rows.set(`${projection.model.name} ${key}`, JSON.stringify([event.offset, values.get(key)]));
      }
  }
  return rows;
}
