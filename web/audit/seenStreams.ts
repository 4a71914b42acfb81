/** Streams that a list has shown by the first characters of their ids, so that these can be pasted into a filter. */
const seen = new Map<string, string>();
const MAX_SEEN = 5000;
/** As the list shows a stream. */
const SHORT = /^([a-z]+)[: ]([0-9a-f]{8})$/i;

const shortOf = (kind: string, id: string): string => `${kind}:${id.slice(0, 8)}`.toLowerCase();

/** Remembers a stream that is shown; the oldest are forgotten first. */
export function rememberStream(stream: string): void {
  const [kind = '', id = ''] = stream.split(':');
  seen.set(shortOf(kind, id), stream);
  const [oldest] = seen.keys();
  if (seen.size > MAX_SEEN && oldest !== undefined) seen.delete(oldest);
}

/** The whole stream of a short one that was shown; any other text as it is. */
export function wholeStream(text: string): string {
  const [, kind, id] = SHORT.exec(text.trim()) ?? [];
  return kind && id ? (seen.get(shortOf(kind, id)) ?? text) : text;
}
