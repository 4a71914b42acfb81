import { WebSocket } from 'ws';
import { createClient } from '../../packages/client/src/client.js';
import type { ClientOptions } from '../../packages/client/src/options.js';
import { Outbox, type OutboxEntry } from '../../packages/client/src/outbox.js';
import { Rest } from '../../packages/client/src/rest.js';
import type { Client, CursorStore, Message, User } from '../../packages/client/src/types.js';
import { insist } from './insist.js';

const PASSWORD = 'correct horse battery';

/** Where a server is now: it may be another place after each start. */
export interface Place {
  readonly url: string;
  readonly wsUrl: string;
}

/** The server that the next socket goes to: of several nodes, sockets take turns apart from other requests. */
export const socketServer = ({ wsUrl }: Pick<Place, 'wsUrl'>): string =>
  wsUrl.replace(/^ws(.*)\/ws$/, 'http$1');

export interface Person {
  readonly user: User;
  readonly username: string;
  readonly password: string;
}

/** Signs somebody up. */
export async function signUp(place: Place, username: string): Promise<Person> {
  const user = await new Rest(place.url).signUp(username, PASSWORD);
  return { user, username, password: PASSWORD };
}

/** Signs in once more, for a device of its own. */
export async function newDevice(
  place: Place,
  { username, password }: Person,
  options: Partial<ClientOptions> = {},
): Promise<Device> {
  const { token } = await insist(`${username} is signed in`, () =>
    new Rest(place.url).signIn(username, password),
  );
  return new Device(place, token, options);
}

/**
 * The messages of one room that a device has, by `seq`, each once. Answers, pushes and pages may arrive
 * in any order and overlap.
 */
class Timeline {
  readonly #bySeq = new Map<number, Message>();

  /** True when the message is new. */
  add(message: Message): boolean {
    const isNew = !this.#bySeq.has(message.seq);
    this.#bySeq.set(message.seq, message);
    return isNew;
  }

  get messages(): readonly Message[] {
    return [...this.#bySeq.values()].sort((a, b) => a.seq - b.seq);
  }
}

class MemoryCursor implements CursorStore {
  #cursor: string | undefined;
  load(): string | undefined {
    return this.#cursor;
  }
  save(cursor: string | undefined): void {
    this.#cursor = cursor;
  }
}

/**
 * A device that remembers, over being opened and closed: its cursor, what it has not sent yet, and
 * every message it learnt of by a push or an answer.
 */
export class Device {
  /** Messages pushed to it, in the order it handled them. */
  readonly pushed: Message[] = [];
  readonly #timelines = new Map<string, Timeline>();
  readonly #unsent = new Map<string, OutboxEntry>();
  readonly #cursors = new MemoryCursor();
  #client: Client;
  #outbox: Outbox;

  constructor(
    private readonly place: Place,
    readonly token: string,
    private readonly options: Partial<ClientOptions>,
  ) {
    this.#client = this.#newClient();
    this.#outbox = this.#newOutbox();
    this.#client.start();
  }

  get client(): Client {
    return this.#client;
  }
  get outbox(): Outbox {
    return this.#outbox;
  }

  close(): void {
    this.#client.close();
  }

  /** Opens it again, to go on from its cursor and with what it had not sent. */
  async reopen(): Promise<void> {
    this.#client = this.#newClient();
    this.#outbox = this.#newOutbox();
    this.#client.start();
    await this.#outbox.resume();
  }

  /** Resolves when the server has it. */
  async say(roomId: string, text: string): Promise<Message> {
    const message = await this.#outbox.send(roomId, text);
    this.timeline(roomId).add(message);
    return message;
  }

  timeline(roomId: string): Timeline {
    const known = this.#timelines.get(roomId);
    if (known) return known;
    const timeline = new Timeline();
    this.#timelines.set(roomId, timeline);
    return timeline;
  }

  /** All messages of a room as the server has them now, page by page. */
  async history(roomId: string, revision?: string): Promise<Message[]> {
    const all: Message[] = [];
    for (;;) {
      const after = all.at(-1)?.seq ?? 0;
      const page = await this.#client.request('fetch messages', {
        ...{ roomId, after, limit: 200 },
        ...(revision === undefined ? {} : { revision }),
      });
      all.push(...page.messages);
      if (!page.hasMore) return all;
    }
  }

  /** The room of the two, made active for this one. */
  async chatWith(other: Person): Promise<string> {
    const { room } = await this.#client.request('init chat', { friendId: other.user.userId });
    return room.roomId;
  }

  #newClient(): Client {
    const client = createClient({
      url: () => socketServer(this.place),
      getToken: () => this.token,
      webSocket: WebSocket,
      cursors: this.#cursors,
      // Soon: the server of a test is back soon.
      backoff: { baseMs: 20, capMs: 250 },
      ...this.options,
    });
    client.on('send message', ({ message }) => {
      this.pushed.push(message);
      this.timeline(message.roomId).add(message);
    });
    return client;
  }

  #newOutbox(): Outbox {
    const unsent = this.#unsent;
    const store = {
      load: () => [...unsent.values()],
      put: (entry: OutboxEntry) => void unsent.set(entry.id, entry),
      remove: (id: string) => void unsent.delete(id),
    };
    return new Outbox(this.#client, { store });
  }
}
