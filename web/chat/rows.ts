import type { Entry } from '../../src/client/index.js';
import { dayOf } from './times.js';

/** What stands in a line of its own in a room. */
export type Row =
  | { readonly kind: 'day'; readonly key: string; readonly time: string }
  | { readonly kind: 'entry'; readonly key: string; readonly entry: Entry };

/** The id of an entry: the same on its way, refused and stored. */
export const idOf = (entry: Entry): string =>
  entry.state === 'stored' ? entry.message.messageId : entry.messageId;

/** When an entry was sent; on its way, when it was written. */
export const timeOf = (entry: Entry): string =>
  entry.state === 'stored' ? entry.message.sentAt : entry.queuedAt;

/** The rows of a room: its entries, with a divider where another day begins. */
export function rowsOf(entries: readonly Entry[]): readonly Row[] {
  const rows: Row[] = [];
  let day: number | undefined;
  for (const entry of entries) {
    const time = timeOf(entry);
    if (dayOf(time) !== day) {
      day = dayOf(time);
      rows.push({ kind: 'day', key: `day ${day}`, time });
    }
    rows.push({ kind: 'entry', key: idOf(entry), entry });
  }
  return rows;
}
