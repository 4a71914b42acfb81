import { useEffect } from 'preact/hooks';
import { chatName, displayName } from '../ui/displayName.js';
import { useRequest, useSource } from '../ui/hooks.js';
import { Icon } from '../ui/icons.js';
import { text } from '../ui/texts.js';
import { useChatPage } from './chatContext.js';
import { closeNotice, type Notice, notices, tell } from './notices.js';
import { allChats } from './PeopleSearch.js';
import './notices.css';

/** A notice that is no failure is shown for this time. */
const SHOWN_MS = 8000;

/** The notices over the page. Screen readers read a failure at once, and others when they are silent. */
export function NoticeArea() {
  const all = useSource(notices);
  useTellOfFriends();
  const part = (kind: Notice['kind']) =>
    all.map((notice) => notice.kind === kind && <NoticeBox key={notice.text} notice={notice} />);
  return (
    <div class="notices">
      <div role="alert">{part('failed')}</div>
      <div role="status">{part('told')}</div>
    </div>
  );
}

function NoticeBox({ notice }: { readonly notice: Notice }) {
  const { showMessage } = useChatPage();
  const { kind, message } = notice;
  useEffect(() => {
    if (kind === 'failed') return;
    const timer = setTimeout(() => closeNotice(notice), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [notice]);
  return (
    <div class={`notice-box ${kind}`}>
      <div class="texts">
        <p>{notice.text}</p>
        {message && <About message={message} quote={notice.quote} />}
        {message && (
          <button
            class="button"
            type="button"
            onClick={() => {
              closeNotice(notice);
              showMessage(message);
            }}
          >
            {text('notice.show')}
          </button>
        )}
      </div>
      <button
        class="button plain icon"
        type="button"
        aria-label={text('notice.dismiss')}
        onClick={() => closeNotice(notice)}
      >
        <Icon name="close" />
      </button>
    </div>
  );
}

interface AboutProps {
  readonly message: NonNullable<Notice['message']>;
  readonly quote: string | undefined;
}

/** The chat and the text of the message that a notice is about. */
function About({ message, quote }: AboutProps) {
  const { store, snapshot } = useChatPage();
  const { roomId, messageId } = message;
  const chat = allChats(snapshot).find((one) => one.roomId === roomId);
  const asked = useRequest(quote === undefined ? `${roomId} ${messageId}` : undefined, () =>
    store.request('get message', { roomId, messageId }),
  );
  const found = asked.value?.message;
  const isCovered = snapshot.blocked.some(({ userId }) => userId === found?.senderId);
  const shown = quote ?? (isCovered ? text('messages.ofBlocked') : found?.message) ?? undefined;
  return (
    <>
      {chat && (
        <b class="name">
          <bdi>{chatName(chat)}</bdi>
        </b>
      )}
      {shown !== undefined && (
        <blockquote class="quote" dir="auto">
          {shown}
        </blockquote>
      )}
    </>
  );
}

/** Tells of a friend who was added elsewhere: by them, or by this user on another device. */
function useTellOfFriends(): void {
  const { store } = useChatPage();
  useEffect(
    () =>
      store.on('add friend', ({ friend }) =>
        tell({ kind: 'told', text: text('notice.newFriend', { name: displayName(friend) }) }),
      ),
    [store],
  );
}
