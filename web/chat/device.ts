import { createStore, Rest, type Store } from '@parley/client';
import { deleteDeviceStore, openDeviceStore } from '@parley/client/browser';
import { within } from '../ui/browser.js';
import { DATABASE_WAIT_MS, databaseOf } from '../ui/keptChats.js';
import { freshToken } from '../ui/renewal.js';
import type { Session } from '../ui/session.js';
import { type CountingOutbox, lenientOutbox } from './lenientOutbox.js';
import { forgetDrafts } from './messages/drafts.js';
import { tellRefused } from './notices.js';
import { watchedOutbox } from './waiting.js';

/** The REST interface of the server that served this page. */
export const rest = new Rest(location.origin);

let outbox: CountingOutbox | undefined;

/** The messages and edits of the user of this page that are not sent yet. */
export const countUnsent = async (): Promise<number> => (await outbox?.countTexts()) ?? 0;

/**
 * Connects this window as a device of the signed-in user. Unsent messages, and the chats that are shown before there is a
 * connection, survive a reload in the browser's store.
 */
export async function openDevice(session: Session): Promise<Store> {
  const { userId } = session.user;
  const opening = openDeviceStore(databaseOf(userId));
  const report = console.error;
  // Some private windows have no store: unsent messages are then lost when the window closes.
  const stored = await within(DATABASE_WAIT_MS, opening).catch((error: unknown) => {
    report(error);
    opening.then((late) => late.close()).catch(() => {});
    return undefined;
  });
  const keeper = stored && (await within(DATABASE_WAIT_MS, stored.keeper(userId, report)).catch(report));
  outbox = lenientOutbox(stored?.outbox, report);
  const store = createStore({
    url: location.origin,
    getToken: () => freshToken(session),
    rest,
    onError: report,
    onRefused: tellRefused,
    outbox: watchedOutbox(outbox),
    ...(keeper && { begin: keeper.begin, cursors: keeper.cursors }),
  });
  keeper?.keep(store);
  return store;
}

/** Deletes the user's chats, unsent messages and drafts from this browser. */
export async function deleteDevice(session: Session): Promise<void> {
  forgetDrafts(session.user.userId);
  await within(DATABASE_WAIT_MS, deleteDeviceStore(databaseOf(session.user.userId))).catch(console.error);
}
