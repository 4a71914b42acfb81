import { ClientError, type Message, type Room, type RoomView, type Store, type User } from '@parley/client';
import type { ComponentChildren } from 'preact';
import { useMemo, useRef, useState } from 'preact/hooks';
import { assertNever } from '../../../src/base/errors.js';
import { displayName } from '../../ui/displayName.js';
import { errorText } from '../../ui/errorText.js';
import { Icon } from '../../ui/icons.js';
import { lazily } from '../../ui/lazily.js';
import { text } from '../../ui/texts.js';
import { type Dialogs, useChatActions } from '../chatContext.js';
import { Composer, type Writing } from './Composer.js';
import { copyText } from './clipboard.js';
import type { Target } from './goTo.js';
import { MessageList } from './MessageList.js';
import { MessageMenu } from './MessageMenu.js';
import { EntryIndex } from './messageRows.js';
import './bubble.css';
import './messages.css';
import './popup.css';
import { PinBar } from './PinBar.js';
import { actionsOn, type MessageAction, nameOf, type Talk, TalkProvider, type Viewer } from './talk.js';
import { useUnreadLine } from './unread.js';

const MessageDialog = lazily(async () => (await import('./MessageDialog.js')).MessageDialog);

interface Props {
  /** For what is asked of the server beside the room's own functions. */
  readonly store: Store;
  readonly room: Room;
  readonly view: RoomView;
  readonly me: User;
  /** How many messages of the room this user has not read. */
  readonly unseen: number;
  /** Stands in place of the message field, if anything does. */
  readonly instead: ComponentChildren;
}

const NEW: Writing = { kind: 'new' };

/** What is open above the messages. */
export type OpenDialog =
  | {
      readonly kind: 'menu';
      readonly message: Message;
      readonly anchor: Element;
    }
  | {
      readonly kind: 'react' | 'edits' | 'reactions' | 'readers' | 'delete';
      readonly message: Message;
      readonly anchor: Element;
    }
  | { readonly kind: 'pins'; readonly anchor: Element };

/** The messages of a room, and the field to write one. */
export function Conversation({ store, room, view, me, unseen, instead }: Props) {
  const [writing, setWriting] = useState<Writing>(NEW);
  const [dialog, setDialog] = useState<OpenDialog>();
  const [target, goTo] = useState<Target>();
  const [status, setStatus] = useState<Status>();
  const to = recipient(view);
  const notice = whyNoMessages(view);
  // Until the chat is known, the room in the address may be one of other users.
  const canWrite = to !== undefined && notice === undefined && instead === undefined;
  const viewer = useMemo(() => ({ me, canWrite }), [me, canWrite]);
  const { dialogs } = useChatActions();
  const unread = useUnreadLine(view, me.userId);

  const talk = useTalkOf({ store, room, view, viewer, dialogs, setStatus, setWriting, setDialog });
  return (
    <TalkProvider value={talk}>
      <PinBar talk={talk} onGoTo={goTo} onList={(anchor) => setDialog({ kind: 'pins', anchor })} />
      <MessageList talk={talk} unread={unread} unseen={unseen} target={target} onGoTo={goTo} />
      {status && <StatusLine status={status} onClose={() => setStatus(undefined)} />}
      {notice !== undefined && <p class="notice">{notice}</p>}
      {instead}
      {canWrite && (
        <Composer
          store={store}
          talk={talk}
          to={to}
          writing={writing}
          onWriting={(what) => {
            const message = what === 'edit last' ? lastEditable(view, viewer) : undefined;
            setWriting(message ? { kind: 'edit', message } : NEW);
          }}
        />
      )}
      {dialog?.kind === 'menu' && <MessageMenu {...dialog} onClose={() => setDialog(undefined)} />}
      {dialog && dialog.kind !== 'menu' && (
        <MessageDialog store={store} dialog={dialog} onGoTo={goTo} onClose={() => setDialog(undefined)} />
      )}
    </TalkProvider>
  );
}

interface TalkParts extends Pick<Props, 'store' | 'room' | 'view'> {
  readonly viewer: Viewer;
  readonly dialogs: Dialogs;
  readonly setStatus: (status: Status) => void;
  readonly setWriting: (writing: Writing) => void;
  readonly setDialog: (dialog: OpenDialog) => void;
}

/** The talk of this room. It stays the same while messages come and change: only their own rows are drawn again. */
function useTalkOf({ store, room, view, viewer, dialogs, ...set }: TalkParts): Talk {
  const latest = useRef(view);
  latest.current = view;
  const { chat, other, participants, named, isMember } = view;
  return useMemo(() => {
    const index = new EntryIndex();
    const attempt = (change: Promise<unknown>): void => {
      change.catch((error: unknown) => set.setStatus({ error }));
    };
    const act = (action: MessageAction, message: Message, anchor: Element): void => {
      const { roomId, messageId } = message;
      switch (action) {
        case 'reply':
        case 'edit':
          return set.setWriting({ kind: action, message });
        case 'copy':
          return attempt(
            copyText(message.message ?? '').then(() => set.setStatus({ done: text('messages.copied') })),
          );
        case 'pin':
        case 'unpin':
          return attempt(store.request('pin message', { roomId, messageId, on: action === 'pin' }));
        case 'report':
          return dialogs.open({
            ...{ name: 'report', who: nameOf(talk, message.senderId), quote: message.message ?? '' },
            about: { roomId, messageIds: [messageId], userId: message.senderId },
          });
        case 'menu':
        case 'react':
        case 'edits':
        case 'reactions':
        case 'readers':
        case 'delete':
          return set.setDialog({ kind: action, message, anchor });
        default:
          return assertNever(action);
      }
    };
    const talk: Talk = {
      ...{ room, viewer, act, attempt },
      get view() {
        return latest.current;
      },
      find: (messageId) => index.find(latest.current.entries, messageId),
    };
    return talk;
  }, [store, room, viewer, dialogs, chat, other, participants, named, isMember]);
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

/** The newest of this user's messages that they may edit; none while a newer one is being sent. */
function lastEditable(view: RoomView, viewer: Viewer): Message | undefined {
  const entry = view.entries.findLast(
    (one) => one.state !== 'stored' || actionsOn(one.message, view, viewer).includes('edit'),
  );
  return entry?.state === 'stored' ? entry.message : undefined;
}

/** The outcome of what the user last did with a message. */
type Status = { readonly done: string } | { readonly error: unknown };

function StatusLine({ status, onClose }: { readonly status: Status; readonly onClose: () => void }) {
  const isError = 'error' in status;
  return (
    <div class={`status-line ${isError ? 'error' : ''}`} role={isError ? 'alert' : 'status'}>
      <p>{isError ? problemText(status.error) : status.done}</p>
      <button class="button plain icon" type="button" aria-label={text('messages.close')} onClick={onClose}>
        <Icon name="close" />
      </button>
    </div>
  );
}

const problemText = (error: unknown): string =>
  error instanceof ClientError ? errorText(error) : text('messages.failed');
