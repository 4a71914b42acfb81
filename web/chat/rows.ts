import type { Entry } from '../../src/client/index.js';
import { dayOf } from './times.js';

/**
 * An entry, under the heading of its day where that begins. The heading is no row of its own: as the first one it
 * would stay the first when earlier entries are put before it, and hold the view at them.
 */
export interface Row {
  readonly key: string;
  readonly entry: Entry;
  /** An ISO 8601 time in the day that begins. */
  readonly day: string | undefined;
}

/** The id of an entry: the same on its way, refused and stored. */
export const idOf = (entry: Entry): string =>
  entry.state === 'stored' ? entry.message.messageId : entry.messageId;

/** When an entry was sent; on its way, when it was written. */
export const timeOf = (entry: Entry): string =>
  entry.state === 'stored' ? entry.message.sentAt : entry.queuedAt;

/**
 * The rows of a room, in the order of its entries. Where earlier ones are still to come, the first has no heading:
 * it would go when they do, and move what is seen.
 */
export function rowsOf(entries: readonly Entry[], isWhole: boolean): readonly Row[] {
  let day: number | undefined;
  return entries.map((entry, i) => {
    const time = timeOf(entry);
    const begins = dayOf(time) !== day;
    day = dayOf(time);
    return { key: idOf(entry), entry, day: begins && (isWhole || i > 0) ? time : undefined };
  });
}
