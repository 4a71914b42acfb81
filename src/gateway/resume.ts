import type { StoredPush } from '../domain/definePush.js';
import { pushesOf, type Recorded } from '../domain/events.js';
import type { UserId } from '../domain/ids.js';
import type { Queries } from '../projections/queries.js';
import type { Connection } from './connection.js';
import type { Cursor, Cursors, Vector } from './cursor.js';
import { type ContentSources, PushContent, pushFrame } from './delivery.js';
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
/** Events of one page: its pushes are queued in one turn. */
const EVENTS = 200;

export interface ReplayDeps {
  readonly queries: Queries;
  readonly ring: Ring;
  readonly cursors: Cursors;
  readonly content: ContentSources;
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
          connection.recordSeen(partition, offset + 1);
          connection.push(onward(frame));
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
        { after: key, limit: STREAMS },
        at,
      );
      for (const stream of streams) {
        await walkStream(connection, user, { ...start, partition, key: stream.key }, from - 1, deps);
        if (connection.isClosing) return;
      }
      key = streams.at(-1)?.key ?? key;
      more = streams.length === STREAMS;
    }
  }
}

/** Sends what one stream's events behind offset `above` mean to the user, up to the walk's bound. */
async function walkStream(
  connection: Connection,
  user: UserId,
  place: Walk,
  above: number,
  { queries, content, cursors }: ReplayDeps,
): Promise<void> {
  const upTo = (place.to[place.partition] ?? 0) - 1;
  for (let behind = above, more = true; more; ) {
    await connection.waitUntilBelow(PACE_BYTES);
    if (connection.isClosing) return;
    const page = await queries.missedEvents(user, place.key, { above: behind, upTo }, EVENTS);
    const missed = page.events.flatMap((event) => pushesTo(user, event).map((push) => ({ event, push })));
    const shown = new PushContent(content);
    for (const { push } of missed) shown.want(push);
    if (!shown.isWhole) await shown.load();
    for (const { event, push } of missed) {
      const cursor = cursors.write({ ...place, offset: event.offset });
      connection.recordSeen(place.partition, event.offset + 1);
      connection.push(pushFrame(push, shown, cursor));
    }
    behind = page.events.at(-1)?.offset ?? behind;
    more = page.hasMore;
  }
}

/** The stored pushes of an event to one user: at most one, or a client cut off between two would lose the second. */
function pushesTo(user: UserId, event: Recorded): StoredPush[] {
  return pushesOf(event).filter((push): push is StoredPush => !('about' in push) && push.to.includes(user));
}
