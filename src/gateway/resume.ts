import type { UserId } from '../domain/ids.js';
import type { Queries, StoredChange } from '../projections/queries.js';
import type { Connection } from './connection.js';
import type { Cursor, Cursors, Vector } from './cursor.js';
import { frameText, joinPush, pushText, splitPush, textFrame } from './protocol.js';
import { isBehind, type Ring } from './ring.js';

/**
 * Makes the ring's frames fit a client that has handled everything below `since`. Every node fans out the partitions
 * in an order of its own, so that a client that comes from another node can be ahead, in some partitions, of what this
 * one had fanned out when it kept a push. Such a push goes out with a cursor that has both: with its own, a client cut
 * off right behind it would come back to what it has. To be called with the frames in the ring's order.
 */
export function onwardFrom(since: Vector, cursors: Cursors): (frame: Buffer) => Buffer {
  // The ring's vectors only grow: where one has all of `since`, the later ones have it too.
  let mayBeBehind = true;
  return (frame) => {
    if (!mayBeBehind) return frame;
    const { body, cursor } = splitPush(frameText(frame));
    const own = cursors.parseCursor(cursor);
    mayBeBehind = own.kind === 'live' && isBehind(own.at, since);
    if (own.kind !== 'live' || !mayBeBehind) return frame;
    const both = own.at.map((size, partition) => Math.max(size, since[partition] ?? 0));
    return textFrame(joinPush(body, cursors.live(both)));
  };
}

/** A reader is given more only while less than this waits for it. */
const PACE_BYTES = 256 * 1024;
const STREAMS = 100;
const CHANGES = 200;

export interface ReplayDeps {
  readonly queries: Queries;
  readonly ring: Ring;
  readonly cursors: Cursors;
  /** What this node has fanned out, now. */
  readonly vector: () => Vector;
}

const caughtUp = textFrame(pushText('identity', '{"caughtUp":true}'));

/**
 * Sends a connection everything stored that concerns its user since the cursor, then makes it live in the same turn
 * of the event loop in which the last of it is queued, so that there is neither gap nor duplicate. What the ring
 * holds is sent in one step; older things are walked through in the read models, partition by partition and stream
 * by stream, up to a bound; the walk's own cursor says where it is, so that a cut-off replay goes on from there.
 * Ends early when the connection closes; rejects when the read models cannot be asked.
 */
export async function replay(
  connection: Connection,
  user: UserId,
  since: Cursor,
  goLive: () => void,
  deps: ReplayDeps,
): Promise<void> {
  let cursor = since;
  for (;;) {
    if (cursor.kind === 'live') {
      const missed = deps.ring.since(user, cursor.at);
      if (missed) {
        const onward = onwardFrom(cursor.at, deps.cursors);
        for (const { partition, offset, frame } of missed) {
          connection.saw(partition, offset + 1);
          connection.push(onward(frame));
        }
        connection.push(caughtUp);
        return goLive();
      }
      cursor = { kind: 'walk', from: cursor.at, to: [...deps.vector()], partition: 0, key: '', offset: -1 };
    }
    await walk(connection, user, cursor, deps);
    if (connection.closing) return;
    cursor = { kind: 'live', at: cursor.to };
  }
}

type Walk = Cursor & { kind: 'walk' };

async function walk(connection: Connection, user: UserId, start: Walk, deps: ReplayDeps): Promise<void> {
  for (let partition = start.partition; partition < start.to.length; partition++) {
    const from = start.from[partition] ?? 0;
    const to = start.to[partition] ?? 0;
    if (from >= to) continue;
    const at = [{ partition, size: to }];
    let key = '';
    if (partition === start.partition && start.key !== '') {
      key = start.key;
      await walkStream(connection, user, { ...start, partition, key }, start.offset, deps);
    }
    for (let more = true; more && !connection.closing; ) {
      const streams = await deps.queries.changedStreams(
        user,
        partition,
        from - 1,
        { after: key, limit: STREAMS },
        at,
      );
      for (const stream of streams) {
        await walkStream(connection, user, { ...start, partition, key: stream.key }, from - 1, deps);
        if (connection.closing) return;
      }
      key = streams.at(-1)?.key ?? key;
      more = streams.length === STREAMS;
    }
  }
}

/** Sends one stream's changes behind offset `above`, up to the walk's bound. */
async function walkStream(
  connection: Connection,
  user: UserId,
  place: Walk,
  above: number,
  deps: ReplayDeps,
): Promise<void> {
  const upTo = (place.to[place.partition] ?? 0) - 1;
  for (let behind = above, more = true; more; ) {
    await connection.paced(PACE_BYTES);
    if (connection.closing) return;
    const page = await deps.queries.changesSince(user, place.key, behind, upTo, CHANGES);
    for (const change of page.changes) {
      behind = change.offset;
      connection.saw(place.partition, change.offset + 1);
      connection.push(storedFrame(change, deps.cursors.write({ ...place, offset: change.offset })));
    }
    more = page.hasMore && page.changes.length > 0;
  }
}

function storedFrame(change: StoredChange, cursor: string): Buffer {
  return textFrame(pushText(change.event, JSON.stringify(change.data), cursor));
}
