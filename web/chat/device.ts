import { createStore, Rest, type Snapshot, type Store } from '@parley/client';
import { deleteDeviceStore, openDeviceStore } from '@parley/client/browser';
import { useEffect, useRef } from 'preact/hooks';
import { within } from '../ui/browser.js';
import { chatName } from '../ui/displayName.js';
import type { Session } from '../ui/session.js';
import { lenientOutbox } from './lenientOutbox.js';
import { forgetDrafts } from './messages/drafts.js';

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
    getToken: () => session.token,
    rest,
    onError: report,
    ...(stored && { outbox: lenientOutbox(stored.outbox, report) }),
  });
}

/** Deletes the user's unsent messages and drafts from this browser. */
export async function deleteDevice(session: Session): Promise<void> {
  forgetDrafts(session.user.userId);
  await within(DATABASE_WAIT_MS, deleteDeviceStore(storeNameOf(session))).catch(console.error);
}

/** Shows a notification if the browser can: on Android its constructor is there, and throws. */
function tryNotify(title: string, options?: NotificationOptions): boolean {
  try {
    return new Notification(title, options) !== undefined;
  } catch {
    return false;
  }
}

/** The browser's permission to show notifications; `unsupported` if it cannot show any. */
export function notificationPermission(): NotificationPermission | 'unsupported' {
  if (!('Notification' in globalThis)) return 'unsupported';
  const { permission } = Notification;
  // Without the permission it shows nothing, but throws where pages cannot show notifications.
  return permission === 'default' && !tryNotify('Parley') ? 'unsupported' : permission;
}

/** Asks the user; resolves with the permission, and never rejects. */
export async function requestNotifications(): Promise<NotificationPermission | 'unsupported'> {
  try {
    await Notification.requestPermission();
  } catch {
    // Said by the permission.
  }
  return notificationPermission();
}

/** Shows the unread count in the title and, where permitted, a notification of each message to a hidden page. */
export function useNotifications({ chats, unread, isLoaded }: Snapshot, myUserId: string): void {
  const newestSeqs = useRef<Map<string, number> | undefined>(undefined);
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) Parley` : 'Parley';
  }, [unread]);
  useEffect(() => {
    if (!isLoaded) return;
    const before = newestSeqs.current;
    newestSeqs.current = new Map(chats.map((chat) => [chat.roomId, chat.lastMessage?.seq ?? 0]));
    // The first list holds only messages from before this page was opened.
    if (!before || document.visibilityState === 'visible' || notificationPermission() !== 'granted') return;
    for (const chat of chats) {
      const { roomId, lastMessage } = chat;
      const isNew = lastMessage !== null && lastMessage.seq > (before.get(roomId) ?? 0);
      if (isNew && lastMessage.senderId !== myUserId)
        tryNotify(chatName(chat), { body: lastMessage.message ?? '', tag: roomId });
    }
  }, [chats, isLoaded, myUserId]);
}
