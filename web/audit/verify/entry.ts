/** The fields of a log entry under the names that the console shows. */
export type EntryFields = Readonly<Record<string, unknown>>;

export const asFields = (value: unknown): EntryFields =>
  typeof value === 'object' && value !== null ? (value as EntryFields) : {};

const NAMES = ['stream', 'version', 'type', 'data', 'actor', 'recordedAt', 'commandId'];
/** Only an event that the host application caused has it. */
const LAST_NAME = 'via';

/** Reads an entry: a JSON array, as docs/log-format.md describes. An entry in another form has no fields. */
export function readEntry(entry: string): EntryFields {
  try {
    const values: unknown = JSON.parse(entry);
    const names = Array.isArray(values) && values.length > NAMES.length ? [...NAMES, LAST_NAME] : NAMES;
    if (!Array.isArray(values) || values.length !== names.length) return {};
    return Object.fromEntries(names.map((name, i) => [name, values[i]]));
  } catch {
    // A changed entry may no longer be JSON.
    return {};
  }
}

/** The field that an entry's data leaves out, because the name of its stream says it. */
export function fieldOfStream({ stream }: EntryFields): EntryFields {
  const [kind, id] = typeof stream === 'string' ? stream.split(':') : [];
  return id === undefined ? {} : { [`${kind}Id`]: id };
}
