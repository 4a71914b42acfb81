import type { OutboxEntry, OutboxStore } from '@parley/client';
import { within } from '../ui/browser.js';

/** Browsers answer within some milliseconds. A store that takes longer than this is not used again by this page. */
const ANSWER_WAIT_MS = 3000;

/**
 * An outbox store that never fails and always answers. What the browser's store does not take is sent all the same:
 * such an entry is lost only if the page is closed before it is sent.
 */
export function lenientOutbox(store: OutboxStore, report: (error: unknown) => void): OutboxStore {
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
  return {
    load: () => attempt<readonly OutboxEntry[]>(() => store.load(), []),
    put: (entry) => attempt<void>(() => store.put(entry), undefined),
    remove: (id) => attempt<void>(() => store.remove(id), undefined),
  };
}
