import type { User } from '@parley/client';
import type { ConsoleApi } from '../console/consoleApi.js';
import type { EventRow } from './auditTypes.js';

/** Finding people and groups by name. The log records each request. */

const MAX_QUERY_CHARS = 32;
const MAX_FOUND = 10;
/** The pages of the log that a search for groups reads at most, of each type of event. */
const MAX_PAGES = 20;
const PAGE_EVENTS = 200;
const MAX_CACHED_ROOMS = 1000;

/** A group with the names that it has had, the newest first. */
export interface NamedGroup {
  readonly roomId: string;
  readonly names: readonly string[];
}

/** What a room is called: of a group its name, null when it is erased; of a private chat its members. */
export interface RoomLabel {
  readonly name?: string | null;
  readonly members?: readonly string[];
}

export interface Found {
  readonly people: readonly User[];
  /** Whether further people have this part in a name. */
  readonly hasMorePeople: boolean;
  readonly groups: readonly NamedGroup[];
  /** False if there are older groups in which the name was not looked for. */
  readonly isComplete: boolean;
}

interface Page {
  readonly events: readonly EventRow[];
  readonly next?: string;
}

/** The names of groups, read from the log once. Names are sealed, so that no index has them. */
class GroupNames {
  readonly #names = new Map<string, string[]>();
  #isComplete = true;
  #loading: Promise<void> | undefined;

  constructor(
    private readonly api: ConsoleApi,
    private readonly onEvents: (events: readonly EventRow[]) => void,
  ) {}

  async find(part: string): Promise<Pick<Found, 'groups' | 'isComplete'>> {
    this.#loading ??= this.#load().catch((error: unknown) => {
      this.#loading = undefined; // The next search tries again.
      throw error;
    });
    await this.#loading;
    const folded = part.toLowerCase();
    const groups = [...this.#names].flatMap(([roomId, names]) =>
      names.some((name) => name.toLowerCase().includes(folded)) ? [{ roomId, names }] : [],
    );
    return { groups: groups.slice(0, MAX_FOUND), isComplete: this.#isComplete };
  }

  /** Forgets all names; the next search reads them again. */
  forget(): void {
    this.#loading = undefined;
    this.#names.clear();
    this.#isComplete = true;
  }

  async #load(): Promise<void> {
    // The newest names first: a group may have been renamed.
    for (const type of ['GroupChanged', 'GroupCreated']) {
      let from: string | undefined;
      for (let n = 0; ; n++) {
        const query = { type, order: 'desc', limit: PAGE_EVENTS, from };
        const { events, next } = await this.api.json<Page>('/audit/events', query);
        for (const { data } of events) this.#add(data);
        this.onEvents(events);
        from = next;
        if (next === undefined) break;
        if (n + 1 < MAX_PAGES) continue;
        this.#isComplete = false;
        break;
      }
    }
  }

  #add({ roomId, name }: EventRow['data']): void {
    if (typeof roomId !== 'string' || typeof name !== 'string') return;
    const names = this.#names.get(roomId) ?? [];
    if (!names.includes(name)) names.push(name);
    this.#names.set(roomId, names);
  }
}

/** The id of a private chat is made of its members' ids: a UUID of version 5. A group's is chosen by its client. */
const PRIVATE_STREAM = /^room:[0-9a-f]{8}-[0-9a-f]{4}-5/;

/** What an event says of its room's name; undefined if nothing. */
function labelIn({ type, stream, data, erased }: EventRow): RoomLabel | undefined {
  const { members, name, by, target } = data;
  if (type === 'RoomCreated' && Array.isArray(members)) return { members: members.map(String) };
  // Two may be friends, or one may block the other, before they have a chat.
  if (PRIVATE_STREAM.test(stream) && typeof by === 'string' && typeof target === 'string')
    return { members: [by, target].sort() };
  if (type !== 'GroupCreated' && type !== 'GroupChanged') return undefined;
  if (typeof name === 'string') return { name };
  return type === 'GroupCreated' || erased ? { name: null } : undefined;
}

/** Finds people and groups while one auditor is signed in. */
export class NameSearch {
  readonly #groups: GroupNames;

  readonly #rooms = new Map<string, Promise<RoomLabel | undefined>>();
  /** What events have said of rooms, with the time of each. */
  readonly #known = new Map<string, { readonly label: RoomLabel; readonly at: string }>();
  readonly #listeners = new Set<() => void>();

  constructor(private readonly api: ConsoleApi) {
    this.#groups = new GroupNames(api, (events) => this.learn(events));
  }

  /** What the console knows of a room's name already, without asking the server. */
  known(roomId: string): RoomLabel | undefined {
    return this.#known.get(roomId)?.label;
  }

  /** Keeps the names of rooms that these events say. */
  learn(events: readonly EventRow[]): void {
    for (const event of events) {
      const [kind, roomId = ''] = event.stream.split(':');
      const label = kind === 'room' ? labelIn(event) : undefined;
      const before = this.#known.get(roomId);
      if (!label || (before && before.at > event.recordedAt)) continue;
      this.#known.set(roomId, { label, at: event.recordedAt });
      const [oldest] = this.#known.keys();
      if (this.#known.size > MAX_CACHED_ROOMS && oldest !== undefined) this.#known.delete(oldest);
    }
    this.#tell();
  }

  /** Forgets all names, because one of them may be erased. */
  forget(): void {
    this.#rooms.clear();
    this.#known.clear();
    this.#groups.forget();
    this.#tell();
  }

  /** Calls `listener` when the known names change, until the function that it returns is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  /** What this room is called now; undefined if the log has no such room, or it cannot be read. */
  room(roomId: string): Promise<RoomLabel | undefined> {
    const known = this.#rooms.get(roomId);
    if (known) return known;
    const request = this.#readRoom(roomId).catch(() => {
      this.#rooms.delete(roomId); // The next one who asks tries again.
      return undefined;
    });
    this.#rooms.set(roomId, request);
    const [oldest] = this.#rooms.keys();
    if (this.#rooms.size > MAX_CACHED_ROOMS && oldest !== undefined) this.#rooms.delete(oldest);
    return request;
  }

  async #readRoom(roomId: string): Promise<RoomLabel | undefined> {
    const one = async (query: Record<string, string>): Promise<EventRow | undefined> => {
      const asked = { stream: `room:${roomId}`, limit: 1, ...query };
      return (await this.api.json<Page>('/audit/events', asked)).events[0];
    };
    // A room's first event says what it is.
    const first = await one({});
    const label = first && labelIn(first);
    if (!label) return undefined;
    const renamed =
      label.members === undefined ? await one({ type: 'GroupChanged', order: 'desc' }) : undefined;
    this.learn(renamed ? [first, renamed] : [first]);
    return (renamed && labelIn(renamed)) ?? label;
  }

  /** People with this part in a name, and groups that have or had it in theirs. Rejects with a `ClientError`. */
  async find(part: string, signal?: AbortSignal): Promise<Found> {
    const query = { q: part.slice(0, MAX_QUERY_CHARS), limit: MAX_FOUND };
    const [{ users, next }, groups] = await Promise.all([
      this.api.json<{ users: readonly User[]; next?: string }>('/audit/users', query, signal),
      this.#groups.find(part),
    ]);
    return { people: users, hasMorePeople: next !== undefined, ...groups };
  }
}
