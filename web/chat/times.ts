const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'long' });
const short = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const long = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' });

const DAY = 24 * 60 * 60 * 1000;
const midnight = (time: Date): number => new Date(time).setHours(0, 0, 0, 0);
/** Whole days between two moments as the calendar here has them, daylight saving included. */
const daysAgo = (time: Date, now: Date): number => Math.round((midnight(now) - midnight(time)) / DAY);

/** The hour and minute of an ISO 8601 time. */
export const clockOf = (iso: string): string => clock.format(new Date(iso));

/** The calendar day of an ISO 8601 time, for comparing. */
export const dayOf = (iso: string): number => midnight(new Date(iso));

/** A day as a divider says it: today, yesterday, Monday, 3 March 2026. */
export function dayName(iso: string, now = new Date()): string {
  const time = new Date(iso);
  const ago = daysAgo(time, now);
  if (ago >= 0 && ago < 2) return relative.format(-ago, 'day');
  return ago < 7 && ago > 0 ? weekday.format(time) : long.format(time);
}

/** A moment in the width of a list: an hour of today, else the day. */
export function briefly(iso: string, now = new Date()): string {
  const time = new Date(iso);
  return daysAgo(time, now) === 0 ? clock.format(time) : short.format(time);
}

/** When somebody was last seen: "today at 14:05". */
export const lastSeen = (iso: string): string => `${dayName(iso)} at ${clockOf(iso)}`;
