import { decodeLeaf } from '../events/codec.js';
import { partitionOf, type StreamName } from '../events/ids.js';
import type { Time } from '../events/types.js';
import type { Folded } from '../projections/projection.js';
import { textFilter } from './eventFilter.js';
import { type StreamSource, streamCommits } from './streamCommits.js';

/** Up to when: what was recorded then is included; or up to a message of a room. */
export type At = { readonly time: Time } | { readonly seq: number };

/** A stream's events until then, in order; all there are now, if no time is given. */
export async function* eventsUntil(
  source: StreamSource,
  stream: StreamName,
  at?: At,
): AsyncGenerator<Folded> {
  const { log } = source;
  const partition = partitionOf(stream, log.partitions);
  const upTo = (await log.tail(partition))?.position ?? 0;
  if (upTo === 0) return;
  const isOfIt = textFilter({ stream });
  for await (const commit of streamCommits(source, stream, { after: 0, upTo })) {
    const { position, firstOffset, recordedAt, leaves } = commit;
    if (at && 'time' in at && recordedAt > at.time) return;
    for (const [i, leaf] of leaves.entries()) {
      if (!isOfIt(leaf)) continue;
      const event = Object.assign(decodeLeaf(leaf, partition, firstOffset + i), { leaf, position });
      yield event;
      if (at && 'seq' in at && event.type === 'MessageSent' && event.data.seq === at.seq) return;
    }
  }
}
