import type { ChatView, Snapshot } from '@parley/client';
import { useEffect, useRef } from 'preact/hooks';
import { chatName, displayName } from '../../ui/displayName.js';
import { text } from '../../ui/texts.js';
import { previewOf } from '../preview.js';
import { notify } from './notifications.js';
import { playSound } from './sound.js';

const isMuted = ({ mutedUntil }: ChatView): boolean =>
  mutedUntil !== undefined && Date.parse(mutedUntil) > Date.now();

/** The chats whose last message is one of somebody else that was not there before. */
const withNewMessage = (
  chats: readonly ChatView[],
  before: ReadonlyMap<string, number>,
  myUserId: string,
): ChatView[] =>
  chats.filter(
    ({ roomId, lastMessage }) =>
      lastMessage !== null &&
      lastMessage.senderId !== myUserId &&
      lastMessage.seq > (before.get(roomId) ?? 0),
  );

/**
 * Shows the number of unread messages in the title and at the icon. A new message makes a sound, and a notification if
 * the page is hidden; neither in a muted chat.
 */
export function useAlerts(snapshot: Snapshot, myUserId: string): void {
  const { chats, unread, isLoaded } = snapshot;
  const newestSeqs = useRef<ReadonlyMap<string, number> | undefined>(undefined);
  useEffect(() => showUnread(unread), [unread]);
  useEffect(() => {
    if (!isLoaded) return;
    const before = newestSeqs.current;
    newestSeqs.current = new Map(chats.map((chat) => [chat.roomId, chat.lastMessage?.seq ?? 0]));
    // The first list holds only messages from before this page was opened.
    if (!before) return;
    const isHidden = document.visibilityState !== 'visible';
    const told = withNewMessage(chats, before, myUserId).filter((chat) => !isMuted(chat));
    if (isHidden) for (const chat of told) void notify(noticeOf(snapshot, chat));
    if (told.some(({ roomId }) => isHidden || location.hash !== `#room=${roomId}`)) playSound();
  }, [chats, isLoaded, myUserId]);
}

function noticeOf(snapshot: Snapshot, chat: ChatView) {
  const { roomId, other, sender, lastMessage, lastIsBlocked } = chat;
  if (lastIsBlocked) return { roomId, title: chatName(chat), body: text('messages.ofBlocked') };
  const body = lastMessage ? previewOf(snapshot, lastMessage) : '';
  // In a group the title does not say who wrote it.
  return { roomId, title: chatName(chat), body: !other && sender ? `${displayName(sender)}: ${body}` : body };
}

/** The icon that stands in the page. */
const icon = (): HTMLLinkElement | null => document.querySelector('link[rel="icon"]');

function showUnread(unread: number): void {
  document.title = unread > 0 ? `(${unread}) Parley` : 'Parley';
  icon()?.setAttribute('href', unread > 0 ? '/icon-unread.svg' : '/icon.svg');
  // Only an installed page has a badge; a browser without one says so by the missing method, or rejects.
  const badge = unread > 0 ? navigator.setAppBadge?.(unread) : navigator.clearAppBadge?.();
  badge?.catch(() => {});
}
