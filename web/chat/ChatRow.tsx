import type { ChatView, Message } from '@parley/client';
import { Component } from 'preact';
import { chatName, displayName } from '../ui/displayName.js';
import { formatShort } from '../ui/format.js';
import { Avatar, Icon } from '../ui/icons.js';
import { text } from '../ui/texts.js';
import { chatMenu, isMuted } from './chatActions.js';
import { useChatActions } from './chatContext.js';
import { GroupAvatar } from './groups/GroupAvatar.js';
import { MenuButton, useMenu } from './Menu.js';
import { useDraft } from './messages/drafts.js';
import { previewOf } from './preview.js';
import type { WaitingEntry } from './waiting.js';

interface Props {
  readonly chat: ChatView;
  readonly myUserId: string;
  readonly isOpen: boolean;
  /** Whether the Tab key leads to it. */
  readonly isStop: boolean;
  readonly onOpen: (roomId: string) => void;
  /** The newest message that is not sent yet. */
  readonly waiting: WaitingEntry | undefined;
}

/** One chat of a list, with its menu. Of up to 1,000 rows, only those that change are drawn again. */
export class ChatRow extends Component<Props> {
  override shouldComponentUpdate({ chat, myUserId, isOpen, isStop, onOpen, waiting }: Props): boolean {
    const { props } = this;
    return (
      chat !== props.chat ||
      myUserId !== props.myUserId ||
      isOpen !== props.isOpen ||
      isStop !== props.isStop ||
      onOpen !== props.onOpen ||
      waiting !== props.waiting
    );
  }

  override render(props: Props) {
    return <RowWithMenu {...props} />;
  }
}

function RowWithMenu({ chat, myUserId, isOpen, isStop, onOpen, waiting }: Props) {
  const actions = useChatActions();
  const label = text('chat.menu');
  const items = () => chatMenu(chat, actions);
  const { handlers, menu } = useMenu(label, items);
  const draft = useDraft(myUserId, chat.roomId);
  return (
    <li class="row" data-room={chat.roomId}>
      <button
        {...handlers}
        class="chat"
        type="button"
        data-row
        tabIndex={isStop ? 0 : -1}
        aria-current={isOpen ? 'true' : undefined}
        onClick={() => onOpen(chat.roomId)}
      >
        <ChatLine
          chat={chat}
          isMine={chat.lastMessage?.senderId === myUserId}
          // The field of the open room shows it.
          draft={isOpen ? '' : draft}
          waiting={waiting}
        />
      </button>
      {menu}
      <MenuButton label={label} class="row-menu" tabIndex={-1} items={items}>
        <Icon name="more" />
      </MenuButton>
    </li>
  );
}

/** The picture of a chat: of the group, or of the other member, with a dot while they are online. */
export function ChatAvatar({
  chat,
}: {
  readonly chat: Pick<ChatView, 'other' | 'presence' | 'name' | 'roomId'>;
}) {
  const { other, presence, name, roomId } = chat;
  return (
    <span class="with-dot">
      {other ? <Avatar user={other} /> : <GroupAvatar roomId={roomId} name={name ?? ''} />}
      {presence.state === 'online' && <span class="dot" />}
    </span>
  );
}

interface LineProps {
  readonly chat: ChatView;
  readonly isMine: boolean;
  /** What the user has begun to write; empty: nothing. */
  readonly draft: string;
  readonly waiting: WaitingEntry | undefined;
}

function ChatLine({ chat, isMine, draft, waiting }: LineProps) {
  const { unread, mentions, presence, pinned } = chat;
  const lastActivity = waiting?.queuedAt ?? chat.lastActivity;
  const muted = isMuted(chat);
  return (
    <>
      <ChatAvatar chat={chat} />
      <span class="texts">
        <span class="top">
          <b class="name">
            <bdi>{chatName(chat)}</bdi>
          </b>
          {presence.state === 'online' && (
            <span class="hidden-visually online">, {text('presence.online')}</span>
          )}
          {muted && <Sign name="muted" label={text('chat.muted')} />}
          <time dateTime={lastActivity}>{formatShort(lastActivity)}</time>
        </span>
        <span class="top">
          <span class="last">
            <Preview {...{ chat, isMine, draft, waiting }} />
          </span>
          {pinned && <Sign name="pin" label={text('chat.pinned')} />}
          {mentions.length > 0 && (
            <span class="unread" title={text('chat.mentionsYou')}>
              <span aria-hidden="true">@</span>
              <span class="hidden-visually">, {text('chat.mentionsYou')}</span>
            </span>
          )}
          {unread > 0 && (
            <span class={`unread ${muted ? 'quiet' : ''}`}>
              {unread}
              <span class="hidden-visually"> {text('chat.unread')}</span>
            </span>
          )}
        </span>
      </span>
    </>
  );
}

function Sign({ name, label }: { readonly name: 'muted' | 'pin'; readonly label: string }) {
  return (
    <span class="sign" title={label}>
      <Icon name={name} />
      <span class="hidden-visually">, {label}</span>
    </span>
  );
}

/** Who is typing, else the draft, else what is not sent yet, else the last message. */
function Preview({ chat, isMine, draft, waiting }: LineProps) {
  if (chat.isTyping) return <i class="cut">{text('chat.isTyping')}</i>;
  if (draft.trim() !== '')
    return (
      <>
        <span class="draft">{text('chat.draft')} </span>
        <bdi class="cut">{draft}</bdi>
      </>
    );
  if (!waiting) return <LastMessage chat={chat} isMine={isMine} />;
  return (
    <>
      <Icon name="waiting" />
      <span class="hidden-visually">{text('messages.markSending')}, </span>
      <span>{text('chat.you')}: </span>
      <PreviewText message={waiting.data} />
    </>
  );
}

function PreviewText({ message }: { readonly message: Pick<Message, 'message' | 'mentions'> }) {
  return <bdi class="cut">{previewOf(useChatActions().store.get(), message)}</bdi>;
}

/** A longer name leaves no room for the text behind it. */
const PREVIEW_NAME_CODE_POINTS = 20;

function shortened(name: string): string {
  const codePoints = Array.from(name);
  const isLong = codePoints.length > PREVIEW_NAME_CODE_POINTS;
  return isLong ? `${codePoints.slice(0, PREVIEW_NAME_CODE_POINTS).join('').trim()}…` : name;
}

function LastMessage({ chat, isMine }: { readonly chat: ChatView; readonly isMine: boolean }) {
  const { lastMessage, lastIsBlocked, other, sender } = chat;
  if (!lastMessage) return <span class="cut">{text('chat.noMessages')}</span>;
  // The chat folds it away too.
  if (lastIsBlocked) return <span class="cut">{text('messages.ofBlocked')}</span>;
  if (lastMessage.message === null) return <span class="cut">{text('chat.messageDeleted')}</span>;
  const name = !other && sender ? displayName(sender) : undefined;
  return (
    <>
      {isMine ? (
        <span>{text('chat.you')}: </span>
      ) : (
        name !== undefined && (
          <span>
            <bdi>{shortened(name)}</bdi>
            {': '}
          </span>
        )
      )}
      <PreviewText message={lastMessage} />
    </>
  );
}
