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

/** A replay goes on only while less than this waits for the client. */
const PACE_BYTES = 128 * 1024;
/** It then queues at most this much, so that never more than 256 KiB wait. No frame of a push is larger. */
const SLICE_BYTES = 120 * 1024;
const STREAMS_PER_PAGE = 100;
/** Events of one page. Pages of large events are made smaller: what does not fit is not kept, but read again. */
const MAX_EVENTS_PER_PAGE = 200;

/** What changes on this node while a replay runs. */
export interface ReplayingNode {
  /** The present vector of its fan-out. */
  readonly vector: () => Vector;
  /** Whether a connected user is told of the reader's marks. */
  readonly isToldReads: (user: UserId, reader: UserId) => boolean;
}

export interface ReplayDeps {
  readonly queries: Queries;
  readonly ring: Ring;
  readonly cursors: Cursors;
  readonly content: ContentSources;
  readonly node: ReplayingNode;
}

/**
 * Sends a connection the stored pushes of its user since the cursor, at the pace at which it reads:
 * 1. If the ring has all of them, and the user missed no change of a message, sends those, slice by slice.
 * 2. Otherwise reads them from the read models, by partition and stream, up to the present vector. Then tries 1 again.
 *    Each cursor of this walk holds its place, so that an interrupted replay continues there.
 * 3. Makes the connection live in the turn in which a slice of the ring ends at the present: no gap and no duplicate.
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
  // What comes behind a vector of this replay was not missed: it is sent as it happened.
  let isFromHere = false;
  while (!connection.isClosing) {
    if (cursor.kind === 'live') {
      const mustRead = !isFromHere && deps.ring.hasLiveOnly(user, cursor.at);
      const from = mustRead ? cursor.at : await sendFromRing(connection, user, cursor.at, deps);
      if (from === 'present') return goLive();
      isFromHere = true;
      cursor = { kind: 'walk', from, to: [...deps.node.vector()], partition: 0, key: '', offset: -1 };
    }
    await walk(connection, user, cursor, deps);
    cursor = { kind: 'live', at: cursor.to };
  }
}

/**
 * Sends what the ring has since the vector, then `caughtUp`, in the turn in which it resolves with 'present'. If the
 * ring has not all of it, or the connection closes, resolves with the vector up to which pushes were sent.
 */
async function sendFromRing(
  connection: Connection,
  user: UserId,
  since: Vector,
  { ring, cursors, node }: ReplayDeps,
): Promise<Vector | 'present'> {
  const raise = raiseCursors(since, cursors);
  let at = since;
  for (let behind = 0; ; ) {
    await connection.waitUntilBelow(PACE_BYTES);
    const slice = connection.isClosing ? undefined : ring.since(user, at, behind, SLICE_BYTES);
    if (!slice) return at;
    for (const { partition, offset, place, frame, readBy } of slice.entries) {
      const raised = raise(frame);
      connection.recordSeen(partition, offset + 1);
      if (readBy === undefined || node.isToldReads(user, readBy)) connection.push(raised);
      behind = place;
      if (place === slice.entries.at(-1)?.place) at = vectorOf(raised, cursors);
    }
    if (!slice.isLast) continue;
    const present = node.vector();
    connection.recordAllSeen(present);
    connection.push(textFrame(pushText('identity', '{"caughtUp":true}', cursors.live(present))));
    return 'present';
  }
}

/** The vector in the cursor of a frame of the ring. */
function vectorOf(frame: Buffer, cursors: Cursors): Vector {
  const cursor = cursors.parseCursor(splitPush(frameText(frame)).cursor);
  // The fan-out writes live cursors only.
  return cursor.kind === 'live' ? cursor.at : cursor.from;
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
  { queries, content, cursors, node }: ReplayDeps,
): Promise<void> {
  const since = (place.from[place.partition] ?? 0) - 1;
  const upTo = (place.to[place.partition] ?? 0) - 1;
  let limit = MAX_EVENTS_PER_PAGE;
  for (let behind = above, more = true; more; ) {
    await connection.waitUntilBelow(PACE_BYTES);
    if (connection.isClosing) return;
    const page = await queries.missedEvents(user, place.key, { since, above: behind, upTo }, limit);
    const missed = page.events.flatMap(({ event, scene }) =>
      pushesTo(user, event, scene)
        .filter(({ readBy }) => readBy === undefined || node.isToldReads(user, readBy))
        .map((push) => ({ event, push })),
    );
    const shown = new PushContent(content, undefined, () => [
      ...place.to.map((size, partition) => ({ partition, size })),
    ]);
    for (const { push } of missed) shown.want(push);
    if (shown.missing > 0) await shown.load();
    let bytes = 0;
    let sent = 0;
    // An event has one push to a user, so that a page can be cut behind each.
    for (const { event, push } of missed) {
      const frame = pushFrame(push, shown, cursors.write({ ...place, offset: event.offset }));
      if (sent > 0 && bytes + frame.length > SLICE_BYTES) break;
      connection.recordSeen(place.partition, event.offset + 1);
      connection.push(frame);
      bytes += frame.length;
      sent++;
      behind = event.offset;
    }
    const isCut = sent < missed.length;
    // Behind the last push may be events that are shown by an earlier one.
    if (!isCut) behind = page.events.at(-1)?.event.offset ?? behind;
    more = isCut || page.hasMore;
    if (isCut) limit = sent;
    else if (bytes < SLICE_BYTES / 2) limit = Math.min(2 * limit, MAX_EVENTS_PER_PAGE);
  }
}
