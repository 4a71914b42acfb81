import { useEffect, useRef } from 'preact/hooks';
import type { Snapshot } from '../../src/client/index.js';
import { nameOf } from './names.js';

/** Whether this browser can show notices of its own, and whether it has been asked to. */
export const notices = {
  get state(): NotificationPermission | 'none' {
    return 'Notification' in globalThis ? Notification.permission : 'none';
  },
  ask: (): Promise<NotificationPermission> => Notification.requestPermission(),
};

/** Says what is new while nobody looks: the unread count in the title, and a notice where that is allowed. */
export function useNews({ chats, unread, loaded }: Snapshot, me: string): void {
  const known = useRef<Map<string, number> | undefined>(undefined);
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) Parley` : 'Parley';
  }, [unread]);
  useEffect(() => {
    if (!loaded) return;
    const before = known.current;
    known.current = new Map(chats.map((chat) => [chat.roomId, chat.lastMessage?.seq ?? 0]));
    // What was there at the beginning is no news.
    if (!before || document.visibilityState === 'visible' || notices.state !== 'granted') return;
    for (const { roomId, other, lastMessage } of chats) {
      const isNew = lastMessage !== null && lastMessage.seq > (before.get(roomId) ?? 0);
      if (isNew && lastMessage.senderId !== me)
        new Notification(nameOf(other), { body: lastMessage.message ?? '', tag: roomId });
    }
  }, [chats, loaded, me]);
}
