import type { Cursors, Vector } from './cursor.js';
import { frameText, textFrame } from './frames.js';
import { joinPush, splitPush } from './protocol.js';
import { isBehind } from './ring.js';

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
