import { pushesTo } from '../domain/events.js';
import type { UserId } from '../domain/ids.js';
import type { Queries } from '../projections/queries.js';
import type { Connection } from './connection.js';
import type { Cursor, Cursors, Vector } from './cursor.js';
import { type ContentSources, PushContent, pushFrame } from './delivery.js';
import { frameText, joinPush, pushText, splitPush, textFrame } from './protocol.js';
import { isBehind, type Ring } from './ring.js';

/**
 * Raises the cursors of the ring's frames to at least `since`. Each node fans out the partitions in an order of its
 * own, so a client from another node may be ahead of this ring. With the frame's own cursor it would later resume too
 * early and get duplicates. Call the result with the frames in the order of the ring.
 */
export function raiseCursors(since: Vector, cursors: Cursors): (frame: Buffer) => Buffer {
  // The ring's vectors only grow: after one that reaches `since`, all later ones reach it.
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

/** A replay queues more only while fewer bytes than this wait for the client. */
const PACE_BYTES = 256 * 1024;
const STREAMS_PER_PAGE = 100;
/** Events of one page: its pushes are queued in one turn. */
const EVENTS_PER_PAGE = 200;

export interface ReplayDeps {
  readonly queries: Queries;
  readonly ring: Ring;
  readonly cursors: Cursors;
  readonly content: ContentSources;
  /** The present vector of this node's fan-out. */
  readonly vector: () => Vector;
}

const caughtUp = textFrame(pushText('identity', '{"caughtUp":true}'));

/**
 * Sends a connection the stored pushes of its user since the cursor:
 * 1. If the ring has all of them, sends those.
 * 2. Otherwise reads them from the read models, by partition and stream, up to the present vector. Then tries 1 again.
 *    Each cursor of this walk holds its place, so that an interrupted replay continues there.
 * 3. Makes the connection live in the turn in which the last push is queued: no gap and no duplicate.
 * Ends early when the connection closes. Rejects when the read models cannot be read.
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
        const raise = raiseCursors(cursor.at, deps.cursors);
        for (const { partition, offset, frame } of missed) {
          connection.recordSeen(partition, offset + 1);
          connection.push(raise(frame));
        }
        connection.push(caughtUp);
        return goLive();
      }
      cursor = { kind: 'walk', from: cursor.at, to: [...deps.vector()], partition: 0, key: '', offset: -1 };
    }
    await walk(connection, user, cursor, deps);
    if (connection.isClosing) return;
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
    for (let more = true; more && !connection.isClosing; ) {
      const streams = await deps.queries.changedStreams(
        user,
        partition,
        from - 1,
        { after: key, limit: STREAMS_PER_PAGE },
        at,
      );
      for (const stream of streams) {
        await walkStream(connection, user, { ...start, partition, key: stream.key }, from - 1, deps);
        if (connection.isClosing) return;
      }
      key = streams.at(-1)?.key ?? key;
      more = streams.length === STREAMS_PER_PAGE;
    }
  }
}

/** Sends the user's pushes of one stream's events after offset `above`, up to the walk's bound. */
async function walkStream(
  connection: Connection,
  user: UserId,
  place: Walk,
  above: number,
  { queries, content, cursors }: ReplayDeps,
): Promise<void> {
  const since = (place.from[place.partition] ?? 0) - 1;
  const upTo = (place.to[place.partition] ?? 0) - 1;
  for (let behind = above, more = true; more; ) {
    await connection.waitUntilBelow(PACE_BYTES);
    if (connection.isClosing) return;
    const page = await queries.missedEvents(user, place.key, { since, above: behind, upTo }, EVENTS_PER_PAGE);
    const missed = page.events.flatMap(({ event, scene }) =>
      pushesTo(user, event, scene).map((push) => ({ event, push })),
    );
    const shown = new PushContent(content);
    for (const { push } of missed) shown.want(push);
    if (!shown.isWhole) await shown.load();
    for (const { event, push } of missed) {
      const cursor = cursors.write({ ...place, offset: event.offset });
      connection.recordSeen(place.partition, event.offset + 1);
      connection.push(pushFrame(push, shown, cursor));
    }
    behind = page.events.at(-1)?.event.offset ?? behind;
    more = page.hasMore;
  }
}
