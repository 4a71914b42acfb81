/** How many there are of something: 1 event, 2 events. */
export const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

const date = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium', timeZone: 'UTC' });

/** A moment as auditors compare it, in UTC: 2026-03-04 05:06:07. */
export const momentOf = (iso: string): string => date.format(new Date(iso));

/** The same with what is behind the seconds. */
export const exactly = (iso: string): string => `${momentOf(iso)}.${iso.slice(20, 23)} UTC`;

/** A moment as a field has it, for people to change: what the browser's own fields show depends on where one lives. */
export const toField = (iso: string): string => iso.replace('T', ' ').replace('Z', '');

/** What a field should look like. */
export const fieldHint = 'yyyy-mm-dd hh:mm:ss';

/** The moment in a field, a day alone for its begin, in UTC; undefined if it is none. */
export function fromField(text: string): string | undefined {
  const [, day, clock = '00:00'] =
    /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?))?Z?$/.exec(text.trim()) ?? [];
  const time = Date.parse(`${day}T${clock}Z`);
  return Number.isNaN(time) ? undefined : new Date(time).toISOString();
}
