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

  constructor(private readonly api: ConsoleApi) {}

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

  async #load(): Promise<void> {
    // The newest names first: a group may have been renamed.
    for (const type of ['GroupChanged', 'GroupCreated']) {
      let from: string | undefined;
      for (let n = 0; ; n++) {
        const query = { type, order: 'desc', limit: PAGE_EVENTS, from };
        const { events, next } = await this.api.json<Page>('/audit/events', query);
        for (const { data } of events) this.#add(data);
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

/** Finds people and groups while one auditor is signed in. */
export class NameSearch {
  readonly #groups: GroupNames;

  readonly #rooms = new Map<string, Promise<RoomLabel | undefined>>();

  constructor(private readonly api: ConsoleApi) {
    this.#groups = new GroupNames(api);
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
    const first = (await one({ type: 'RoomCreated' })) ?? (await one({ type: 'GroupCreated' }));
    if (!first) return undefined;
    const { members, name } = first.data;
    if (Array.isArray(members)) return { members: members.map(String) };
    const renamed = (await one({ type: 'GroupChanged', order: 'desc' }))?.data.name;
    return { name: typeof renamed === 'string' ? renamed : typeof name === 'string' ? name : null };
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
