import type { OutboxEntry, OutboxStore } from '@parley/client';
import { within } from '../ui/browser.js';

/** Browsers answer within some milliseconds. A store that takes longer than this is not used again by this page. */
const ANSWER_WAIT_MS = 3000;

/** An outbox store that knows how much of what the user has written is not sent. */
export interface CountingOutbox extends OutboxStore {
  /** The messages and edits that wait, also those of other tabs. Never rejects. */
  countTexts(): Promise<number>;
}

const NO_STORE: OutboxStore = { load: () => [], put: () => {}, remove: () => {} };

/**
 * An outbox store that never fails and always answers. What the browser's store does not take is sent all the same:
 * such an entry is lost only if the page is closed before it is sent.
 */
export function lenientOutbox(
  store: OutboxStore = NO_STORE,
  report: (error: unknown) => void,
): CountingOutbox {
  /** What this page has queued, whether or not the store took it. */
  const queued = new Map<string, OutboxEntry>();
  let isStuck = false;
  async function attempt<T>(use: () => Promise<T> | T, otherwise: T): Promise<T> {
    if (isStuck) return otherwise;
    const begun = performance.now();
    try {
      return await within(ANSWER_WAIT_MS, (async () => use())());
    } catch (error) {
      isStuck = performance.now() - begun >= ANSWER_WAIT_MS;
      report(error);
      return otherwise;
    }
  }
  const load = (): Promise<readonly OutboxEntry[]> => attempt(() => store.load(), []);
  return {
    load,
    put(entry) {
      queued.set(entry.id, entry);
      return attempt<void>(() => store.put(entry), undefined);
    },
    remove(id) {
      queued.delete(id);
      return attempt<void>(() => store.remove(id), undefined);
    },
    async countTexts() {
      const waiting = [...(await load()), ...queued.values()];
      const texts = waiting.filter(({ request }) => request === 'send message' || request === 'edit message');
      return new Set(texts.map(({ id }) => id)).size;
    },
  };
}
