import { WebSocket } from 'ws';
import type { OutboxEntry, OutboxStore } from '../../../packages/client/src/outbox.js';
import { Rest } from '../../../packages/client/src/rest.js';
import { createStore } from '../../../packages/client/src/store/store.js';
import type {
  ChatView,
  Entry,
  Room,
  Store,
  StoreOptions,
} from '../../../packages/client/src/store/storeTypes.js';
import { eventually } from '../../support/eventually.js';
import { insist } from '../../support/insist.js';
import { type Person, type Place, socketServer } from '../../support/people.js';

/** An outbox store that outlives the stores of a test. */
export class MemoryOutbox implements OutboxStore {
  readonly entries = new Map<string, OutboxEntry>();
  load: OutboxStore['load'] = () => [...this.entries.values()];
  put = (entry: OutboxEntry): void => void this.entries.set(entry.id, entry);
  remove = (id: string): void => void this.entries.delete(id);
}

/** Signs in once more and opens a store: started, and its lists loaded. */
export async function openStore(
  place: Place,
  { username, password }: Person,
  options: Partial<StoreOptions> = {},
): Promise<Store> {
  const rest = new Rest(place.url);
  const { token } = await insist('the store’s user is signed in', () => rest.signIn(username, password));
  const store = createStore({
    url: () => socketServer(place),
    ...{ getToken: () => token, rest, webSocket: WebSocket },
    // Soon: the server of a test is back soon.
    backoff: { baseMs: 20, capMs: 250 },
    ...options,
  });
  store.start();
  await store.ready;
  return store;
}

/** The stores that a test has opened. */
export class OpenedStores {
  readonly #stores: Store[] = [];

  readonly open = async (...args: Parameters<typeof openStore>): Promise<Store> => {
    const store = await openStore(...args);
    this.#stores.push(store);
    return store;
  };

  /** Two people in a chat, each with a store and the room open, after the first has said this. */
  async talking(place: Place, [one, other]: readonly [Person, Person], first: string) {
    const [of, to] = [await this.open(place, one), await this.open(place, other)];
    const { roomId } = await of.openChat(other.user.userId);
    const mine = of.openRoom(roomId);
    mine.send(first);
    await onlyChat(to);
    return { of, to, mine, theirs: to.openRoom(roomId), roomId };
  }

  closeAll(): void {
    for (const store of this.#stores.splice(0)) store.close();
  }
}

/** The only chat of somebody who has one; waits for it. */
export async function onlyChat(store: Store): Promise<ChatView> {
  await eventually('there is a chat', () => store.get().chats.length === 1);
  const [chat] = store.get().chats;
  if (!chat) throw new Error('there is no chat');
  return chat;
}

/** The texts that a room shows, with the state of those that are not stored. */
export function shown(room: Room): string[] {
  return room
    .get()
    .entries.map((entry) => `${textOf(entry)}${entry.state === 'stored' ? '' : ` (${entry.state})`}`);
}

function textOf(entry: Entry): string {
  if (entry.state !== 'stored') return entry.message;
  return entry.message.message ?? '(erased)';
}

/** Waits until a room shows just this. */
export function toShow(room: Room, texts: readonly string[]): Promise<void> {
  return eventually(`it shows ${texts.join(', ')}`, () => shown(room).join('\n') === texts.join('\n'));
}
