import type { Api } from '../api.js';
import type { EventRow } from '../types.js';

/** A moment at which something changed: where the slider can stand. */
export interface Moment {
  readonly at: string;
  /** What happened, with a message's number in its room. */
  readonly what: string;
}

/** The moments of a room or a person, oldest first. */
export interface Moments {
  readonly moments: readonly Moment[];
  /** There are more than are shown. */
  readonly isCut: boolean;
}

/** A slider has no more places than that that one could find. */
const MOST = 20_000;

/** Whose past is looked at. */
export type Subject = { readonly kind: 'room' | 'user'; readonly id: string };

/** When a room or a person changed: by the events of its stream and, of a person, by what they did. */
export async function momentsOf(api: Api, { kind, id }: Subject, signal: AbortSignal): Promise<Moments> {
  const filters = [{ stream: `${kind}:${id}` }, ...(kind === 'user' ? [{ actor: id }] : [])];
  const found = await Promise.all(filters.map((filter) => read(api, filter, signal)));
  const byTime = new Map(found.flatMap(({ moments }) => moments.map((moment) => [moment.at, moment])));
  const moments = [...byTime.values()].sort((one, two) => (one.at < two.at ? -1 : 1));
  return { moments, isCut: found.some(({ isCut }) => isCut) };
}

async function read(api: Api, filter: Record<string, string>, signal: AbortSignal): Promise<Moments> {
  const enough = new AbortController();
  const either = AbortSignal.any([signal, enough.signal]);
  const moments: Moment[] = [];
  for await (const events of api.lines<EventRow>('/audit/events/stream', filter, either)) {
    // An auditor's looks change nothing of what they look at.
    for (const { recordedAt, type, data } of events)
      if (type !== 'AuditRead')
        moments.push({ at: recordedAt, what: typeof data.seq === 'number' ? `${type} ${data.seq}` : type });
    if (moments.length >= MOST) return { moments: moments.slice(0, MOST), isCut: true };
  }
  return { moments, isCut: false };
}

/** The last moment not after this time: the place of the slider. */
export function placeOf(moments: readonly Moment[], at: string): number {
  const after = moments.findIndex((moment) => moment.at > at);
  return Math.max(0, after === -1 ? moments.length - 1 : after - 1);
}
