import { eventsOf } from '../bus/frame.js';
import { partitionOf, streamOf, type UserId } from '../events/ids.js';
import type { Recorded } from '../events/types.js';
import type { EventLog } from '../log/log.js';

const PAGE = 64;

/** The events of a user's stream, in their order. Reads the whole partition: for what is asked seldom. */
export async function* historyOf(
  log: Pick<EventLog, 'partitions' | 'read'>,
  userId: UserId,
): AsyncGenerator<Recorded> {
  const stream = streamOf('user', userId);
  const partition = partitionOf(stream, log.partitions);
  for (let after = 0; ; ) {
    const commits = await log.read(partition, after, PAGE);
    // Most are of others: they are not decoded.
    const candidates = commits.filter(({ leaves }) => leaves.some((leaf) => leaf.includes(stream)));
    for (const commit of candidates)
      for (const event of eventsOf(commit)) if (event.stream === stream) yield event;
    after = commits.at(-1)?.position ?? after;
    if (commits.length === 0) return;
  }
}
