import type { OutboxEntry, OutboxStore } from '@parley/client';

/** The messages of this device that are not sent yet, for the list of chats: their rooms show them already. */

/** A message that waits in the outbox. */
export type WaitingEntry = Extract<OutboxEntry, { readonly request: 'send message' }>;

const all = new Map<string, WaitingEntry>();
const listeners = new Set<() => void>();
let newest: ReadonlyMap<string, WaitingEntry> = new Map();

function update(): void {
  newest = new Map([...all.values()].map((entry) => [entry.data.roomId, entry]));
  for (const listener of listeners) listener();
}

function add(entry: OutboxEntry): void {
  if (entry.request === 'send message') all.set(entry.id, entry);
}

/** The newest one of each room. */
export const waiting = {
  get: (): ReadonlyMap<string, WaitingEntry> => newest,
  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

/** An outbox store that tells what waits in it. One at a time. */
export function watchedOutbox(store: OutboxStore): OutboxStore {
  all.clear();
  update();
  return {
    async load() {
      const left = await store.load();
      left.forEach(add);
      update();
      return left;
    },
    async put(entry) {
      add(entry);
      update();
      await store.put(entry);
    },
    async remove(id) {
      await store.remove(id);
      if (all.delete(id)) update();
    },
  };
}
