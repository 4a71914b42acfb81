/** The days of a calendar, in UTC. A day is its first millisecond since 1970. */

const DAY_MS = 24 * 60 * 60 * 1000;
const DAYS_A_WEEK = 7;

/** The day of a time. */
export const dayOf = (ms: number): number => Math.floor(ms / DAY_MS) * DAY_MS;

/** `2026-03-04`. */
export const formatDate = (day: number): string => new Date(day).toISOString().slice(0, 10);

/** Monday is 0. */
const weekdayOf = (day: number): number => (new Date(day).getUTCDay() + DAYS_A_WEEK - 1) % DAYS_A_WEEK;

/** The same day some months later or earlier; the last of that month if it is shorter. */
export function addMonths(day: number, months: number): number {
  const date = new Date(day);
  const first = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1);
  const next = new Date(first);
  const last = new Date(Date.UTC(next.getUTCFullYear(), next.getUTCMonth() + 1, 0)).getUTCDate();
  return first + (Math.min(date.getUTCDate(), last) - 1) * DAY_MS;
}

/** The weeks of the month of a day, from Monday; days of other months are undefined. */
export function weeksOf(day: number): readonly (readonly (number | undefined)[])[] {
  const date = new Date(day);
  const first = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
  const count = (addMonths(first, 1) - first) / DAY_MS;
  const cells: (number | undefined)[] = [
    ...Array.from({ length: weekdayOf(first) }, () => undefined),
    ...Array.from({ length: count }, (_, i) => first + i * DAY_MS),
  ];
  while (cells.length % DAYS_A_WEEK > 0) cells.push(undefined);
  return Array.from({ length: cells.length / DAYS_A_WEEK }, (_, week) =>
    cells.slice(week * DAYS_A_WEEK, (week + 1) * DAYS_A_WEEK),
  );
}

/** The day that a key of the keyboard goes to, as in the date grid of the ARIA Authoring Practices; undefined: no such key. */
export function dayAtKey(day: number, key: string, isShift: boolean): number | undefined {
  const months = isShift ? 12 : 1;
  switch (key) {
    case 'ArrowLeft':
      return day - DAY_MS;
    case 'ArrowRight':
      return day + DAY_MS;
    case 'ArrowUp':
      return day - DAYS_A_WEEK * DAY_MS;
    case 'ArrowDown':
      return day + DAYS_A_WEEK * DAY_MS;
    case 'Home':
      return day - weekdayOf(day) * DAY_MS;
    case 'End':
      return day + (DAYS_A_WEEK - 1 - weekdayOf(day)) * DAY_MS;
    case 'PageUp':
      return addMonths(day, -months);
    case 'PageDown':
      return addMonths(day, months);
    default:
      return undefined;
  }
}
