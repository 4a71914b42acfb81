import type { Message, Room, RoomView, Store, User } from '@parley/client';
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { displayName } from '../../ui/displayName.js';
import { text } from '../../ui/texts.js';
import { Composer } from './Composer.js';
import { MessageList } from './MessageList.js';
import './messages.css';

interface Props {
  /** For what is asked of the server beside the room's own functions. */
  readonly store: Store;
  readonly room: Room;
  readonly view: RoomView;
  readonly me: User;
  /** Stands in place of the message field, if anything does. */
  readonly instead: ComponentChildren;
}

/** The messages of a room, and the field to write one. */
export function Conversation({ room, view, me, instead }: Props) {
  const [replyTo, setReplyTo] = useState<Message>();
  const to = recipient(view);
  const notice = whyNoMessages(view);
  // Until the chat is known, the room in the address may be one of other users.
  const canWrite = to !== undefined && notice === undefined && instead === undefined;
  return (
    <>
      <MessageList room={room} view={view} me={me} onReply={canWrite ? setReplyTo : undefined} />
      {notice !== undefined && <p class="notice">{notice}</p>}
      {instead}
      {canWrite && (
        <Composer room={room} to={to} replyTo={replyTo} onReplyDone={() => setReplyTo(undefined)} />
      )}
    </>
  );
}

/** Whom a message here goes to: the other member, or the group by its name; `undefined` until the chat is known. */
function recipient({ other, chat }: RoomView): string | undefined {
  if (other) return displayName(other);
  return chat?.roomType === 'GROUP' ? (chat.name ?? '') : undefined;
}

/** Why this user cannot write here; `undefined` if they can. */
function whyNoMessages({ other, isMember, chat }: RoomView): string | undefined {
  if (other?.erased) return text('messages.accountDeleted');
  if (chat?.roomType !== 'GROUP') return undefined;
  if (!isMember) return text('messages.leftGroup');
  return chat.whoSends === 'admins' && chat.role === 'member' ? text('messages.adminsOnly') : undefined;
}
