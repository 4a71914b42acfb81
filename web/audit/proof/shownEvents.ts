import type { EventRow } from '../types.js';

/** Of those that were opened, the newest so many. */
const MOST = 200;
const shown = new Map<string, EventRow>();

/** Remembers an event as it was shown, for its proof to be compared with. */
export function remember(event: EventRow): void {
  shown.set(`${event.partition}/${event.offset}`, event);
  const [oldest] = shown.keys();
  if (shown.size > MOST && oldest !== undefined) shown.delete(oldest);
}

/** The event as it was shown on this page, if it was. */
export const recall = (partition: number, offset: number): EventRow | undefined =>
  shown.get(`${partition}/${offset}`);
