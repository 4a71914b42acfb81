import { WebSocket } from 'ws';
import type { Rest } from '../../../packages/client/src/rest.js';
import { createStore } from '../../../packages/client/src/store/store.js';
import type { Store, StoreOptions } from '../../../packages/client/src/store/storeTypes.js';
import type { Chat, Preferences } from '../../../packages/client/src/types.js';
import type { RequestFrame, Scripted, ScriptedServer } from '../scripted.js';

export type Script = Record<string, (c: Scripted, frame: RequestFrame) => void>;

export const preferences: Preferences = {
  ...{ whoWrites: 'everyone', whoInvites: 'everyone', findable: true, visible: true, receipts: true },
};

/** What a server answers to somebody with these chats, and nothing else. */
export const answersOf = (chats: () => readonly Chat[]): Script => ({
  'get active chats': (c, frame) => c.answer(frame, { chats: chats(), presence: {} }),
  'get friends': (c, frame) => c.answer(frame, { friends: [] }),
  'get blocked': (c, frame) => c.answer(frame, { users: [] }),
  'get preferences': (c, frame) => c.answer(frame, { preferences }),
  'fetch messages': (c, frame) => c.answer(frame, { messages: [], hasMore: false }),
  'get online info': (c, frame) => c.refuse(frame, { code: 'not_found' }),
});

/** The stores that a test has made, of a scripted server. */
export class ScriptedStores {
  readonly #stores: Store[] = [];

  /** Makes a store that soon connects again. */
  create(server: ScriptedServer, rest: Rest, options: Partial<StoreOptions> = {}): Store {
    const timing = { backoff: { baseMs: 2, capMs: 10 }, answerTimeoutMs: 10_000 };
    const store = createStore({
      url: server.url,
      ...{ getToken: () => 't', webSocket: WebSocket, rest },
      ...timing,
      ...options,
    });
    this.#stores.push(store);
    return store;
  }

  /** The same, started and loaded. */
  async open(...args: Parameters<ScriptedStores['create']>): Promise<Store> {
    const store = this.create(...args);
    store.start();
    await store.ready;
    return store;
  }

  closeAll(): void {
    for (const store of this.#stores.splice(0)) store.close();
  }
}
