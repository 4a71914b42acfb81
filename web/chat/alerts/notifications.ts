import { workerRegistration } from '../app/worker.js';

/** Shows a notification if a page can: on Android its constructor is there, and throws. */
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
  if (permission !== 'default' || workerRegistration()) return permission;
  // Without the permission it shows nothing, but throws where pages cannot show notifications.
  return tryNotify('Parley') ? permission : 'unsupported';
}

/** Asks the user; resolves with the permission, and never rejects. Call it from a button only. */
export async function requestNotifications(): Promise<NotificationPermission | 'unsupported'> {
  try {
    await Notification.requestPermission();
  } catch {
    // Said by the permission.
  }
  return notificationPermission();
}

/** What a notification shows. One of the same room takes the place of the one before. */
export interface Notice {
  readonly title: string;
  readonly body: string;
  readonly roomId: string;
}

/** Shows a notification through the worker, which opens the room on a click; without a worker through the page. */
export async function notify({ title, body, roomId }: Notice): Promise<void> {
  if (notificationPermission() !== 'granted') return;
  const address = `${location.pathname}${location.search}#room=${roomId}`;
  const { lang, dir } = document.documentElement;
  const options = {
    ...{ body, tag: roomId, data: address, lang, icon: '/icon-192.png', badge: '/badge-96.png' },
    dir: dir === 'rtl' ? 'rtl' : 'ltr',
  } as const;
  try {
    const worker = workerRegistration();
    if (!worker?.active) throw new Error('there is no worker');
    await worker.showNotification(title, options);
  } catch {
    tryNotify(title, options);
  }
}
