import { type DeviceStore, deleteDeviceStore, openDeviceStore } from '../../src/client/browser.js';
import { createStore, Rest, type Store } from '../../src/client/index.js';
import type { Session } from '../ui/session.js';

/** The server that this page came from. */
export const rest = new Rest(location.origin);

const nameOf = ({ user }: Session): string => `parley-${user.userId}`;

/** This window as a device of whoever has signed in; what it could not send waits in the browser's own store. */
export async function openDevice(session: Session): Promise<Store> {
  // Some private windows have none: what is unsent then goes with the window.
  const kept: DeviceStore | undefined = await openDeviceStore(nameOf(session)).catch(() => undefined);
  return createStore({
    url: `${location.origin.replace(/^http/, 'ws')}/ws`,
    token: session.token,
    rest,
    onError: console.error,
    ...(kept && { outbox: kept.outbox }),
  });
}

/** Leaves nothing of them in this browser. */
export async function forgetDevice(session: Session): Promise<void> {
  await deleteDeviceStore(nameOf(session)).catch(() => {});
}
