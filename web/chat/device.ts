import { createStore, Rest, type Store } from '@parley/client';
import { deleteDeviceStore, openDeviceStore } from '@parley/client/browser';
import { within } from '../ui/browser.js';
import { freshToken } from '../ui/renewal.js';
import type { Session } from '../ui/session.js';
import { lenientOutbox } from './lenientOutbox.js';
import { forgetDrafts } from './messages/drafts.js';
import { tellRefused } from './notices.js';

/** The REST interface of the server that served this page. */
export const rest = new Rest(location.origin);

const storeNameOf = ({ user }: Session): string => `parley-${user.userId}`;

/** A browser may take its time to open or delete a database, or never answer. */
const DATABASE_WAIT_MS = 3000;

/** Connects this window as a device of the signed-in user. Unsent messages survive a reload in the browser's store. */
export async function openDevice(session: Session): Promise<Store> {
  const opening = openDeviceStore(storeNameOf(session));
  const report = console.error;
  // Some private windows have no store: unsent messages are then lost when the window closes.
  const stored = await within(DATABASE_WAIT_MS, opening).catch((error: unknown) => {
    report(error);
    opening.then((late) => late.close()).catch(() => {});
    return undefined;
  });
  return createStore({
    url: location.origin,
    getToken: () => freshToken(session),
    rest,
    onError: report,
    onRefused: tellRefused,
    ...(stored && { outbox: lenientOutbox(stored.outbox, report) }),
  });
}

/** Deletes the user's unsent messages and drafts from this browser. */
export async function deleteDevice(session: Session): Promise<void> {
  forgetDrafts(session.user.userId);
  await within(DATABASE_WAIT_MS, deleteDeviceStore(storeNameOf(session))).catch(console.error);
}
