/** `1 event`, `2 events`. */
export const pluralize = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

// The chat shows times in the user's time zone, language and region.

/** The formats of one locale; making one takes the browser far longer than using it. */
const formatsOf = (locale: string) => ({
  clock: new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' }),
  weekday: new Intl.DateTimeFormat(locale, { weekday: 'long' }),
  shortDate: new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' }),
  longDate: new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'long', year: 'numeric' }),
  list: new Intl.ListFormat(locale),
  relative: new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }),
});

let locale = 'en';
let made: ReturnType<typeof formatsOf> | undefined;

/** Sets the language and region of all dates, as an IETF language tag. */
export function setLocale(tag: string): void {
  locale = tag;
  made = undefined;
}

const formats = (): ReturnType<typeof formatsOf> => {
  made ??= formatsOf(locale);
  return made;
};

/** `Ann, Bob and Carl`. */
export const formatList = (names: readonly string[]): string => formats().list.format(names);

const DAY_MS = 24 * 60 * 60 * 1000;
const startOf = (time: Date): number => new Date(time).setHours(0, 0, 0, 0);
/** Days between two local dates; rounded because a day with a daylight saving change has 23 or 25 hours. */
const daysBetween = (time: Date, now: Date): number => Math.round((startOf(now) - startOf(time)) / DAY_MS);

/** Hour and minute: `14:05`. */
export const formatClock = (iso: string): string => formats().clock.format(new Date(iso));

/** The start of the local day, in milliseconds since 1970: equal for all times of one day. */
export const startOfDay = (iso: string): number => startOf(new Date(iso));

/** `today`, `yesterday`, `Monday` or `3 March 2026`. */
export function formatDay(iso: string, now = new Date()): string {
  const time = new Date(iso);
  const days = daysBetween(time, now);
  if (days >= 0 && days < 2) return formats().relative.format(-days, 'day');
  return days < 7 && days > 0 ? formats().weekday.format(time) : formats().longDate.format(time);
}

/** `14:05` if it is today, else `3 Mar`. */
export function formatShort(iso: string, now = new Date()): string {
  const time = new Date(iso);
  return daysBetween(time, now) === 0 ? formats().clock.format(time) : formats().shortDate.format(time);
}

// The audit console shows times in UTC, so that auditors in different time zones can compare them.

const utc = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium', timeZone: 'UTC' });

/** `2026-03-04 05:06:07`. */
export const formatUtc = (iso: string): string => utc.format(new Date(iso));

/** `2026-03-04 05:06:07.089 UTC`. */
export const formatUtcMs = (iso: string): string => `${formatUtc(iso)}.${iso.slice(20, 23)} UTC`;

/** The placeholder of a time field. */
export const TIME_FIELD_HINT = 'yyyy-mm-dd hh:mm:ss';

/** A UTC time as editable text. A text field, because the browser's own time fields use the local format. */
export const formatTimeField = (iso: string): string => iso.replace('T', ' ').replace('Z', '');

/**
 * Parses a time field as UTC; a date alone means its start. `undefined` if the text is not a time.
 *
 * @param decimals the most decimals of a second; all of them are kept
 */
export function parseTimeField(text: string, decimals: 3 | 9 = 3): string | undefined {
  const [, date, time = '00:00', fraction = ''] =
    /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d(?:\.(\d{1,9}))?)?))?Z?$/.exec(text.trim()) ?? [];
  const ms = Date.parse(`${date}T${time}Z`);
  if (Number.isNaN(ms) || fraction.length > decimals) return undefined;
  return new Date(ms).toISOString().replace('Z', `${fraction.slice(3)}Z`);
}
