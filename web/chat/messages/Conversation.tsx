import type { Message, Room, RoomView, Store, User } from '@parley/client';
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { assertNever } from '../../../src/base/errors.js';
import { displayName } from '../../ui/displayName.js';
import { lazily } from '../../ui/lazily.js';
import { text } from '../../ui/texts.js';
import { QUICK } from '../chatActions.js';
import { type Dialogs, type MessageAddress, useChatActions } from '../chatContext.js';
import { attempt, tell } from '../notices.js';
import { Composer, type Writing } from './Composer.js';
import { copyText } from './clipboard.js';
import type { Target } from './goTo.js';
import { useHappenings } from './happenings.js';
import { MessageList } from './MessageList.js';
import { EntryIndex } from './messageRows.js';
import './bubble.css';
import './messages.css';
import './popup.css';
import { PinBar } from './PinBar.js';
import {
  ACTION_TEXTS,
  actionsOn,
  type MessageAction,
  nameOf,
  type Talk,
  TalkProvider,
  type Viewer,
} from './talk.js';
import { useUnreadLine } from './unread.js';

const MessageDialog = lazily(async () => (await import('./MessageDialog.js')).MessageDialog);

interface Props {
  /** For what is asked of the server beside the room's own functions. */
  readonly store: Store;
  readonly room: Room;
  readonly view: RoomView;
  readonly me: User;
  readonly isOffline: boolean;
  /** How many messages of the room this user has not read. */
  readonly unseen: number;
  /** Stands in place of the message field, if anything does. */
  readonly instead: ComponentChildren;
  /** The message to lead to, if the user wants to see one. */
  readonly wanted: MessageAddress | undefined;
  readonly onShown: () => void;
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
export function Conversation(props: Props) {
  const { store, room, view: known, me, isOffline, unseen, instead, wanted, onShown } = props;
  const { happenings, named } = useHappenings(store, known);
  const view = useMemo(() => ({ ...known, named }), [known, named]);
  const [writing, setWriting] = useState<Writing>(NEW);
  const [dialog, setDialog] = useState<OpenDialog>();
  const [target, goTo] = useState<Target>();
  const to = recipient(view);
  const notice = whyNoMessages(view);
  // Until the chat is known, the room in the address may be one of other users.
  const canWrite = to !== undefined && notice === undefined && instead === undefined;
  const viewer = useMemo(() => ({ me, canWrite }), [me, canWrite]);
  const { dialogs } = useChatActions();
  const unread = useUnreadLine(view, me.userId);
  const field = useRef<HTMLTextAreaElement>(null);

  useEffect(() => {
    if (!wanted) return;
    goTo({ messageId: wanted.messageId });
    onShown();
  }, [wanted]);
  const talk = useTalkOf({ store, room, view, happenings, viewer, dialogs, setWriting, setDialog });
  return (
    <TalkProvider value={talk}>
      <PinBar talk={talk} onGoTo={goTo} onList={(anchor) => setDialog({ kind: 'pins', anchor })} />
      <MessageList
        {...{ talk, unread, unseen, target, isOffline }}
        onGoTo={goTo}
        onLeave={() => field.current?.focus()}
      />
      {notice !== undefined && <p class="notice">{notice}</p>}
      {instead}
      {canWrite && (
        <Composer
          store={store}
          talk={talk}
          field={field}
          to={to}
          writing={writing}
          onWriting={(what) => {
            const message = what === 'edit last' ? lastEditable(view, viewer) : undefined;
            setWriting(message ? { kind: 'edit', message } : NEW);
          }}
        />
      )}
      {dialog && (
        <MessageDialog store={store} dialog={dialog} onGoTo={goTo} onClose={() => setDialog(undefined)} />
      )}
    </TalkProvider>
  );
}

interface TalkParts extends Pick<Props, 'store' | 'room' | 'view'> {
  readonly happenings: Talk['happenings'];
  readonly viewer: Viewer;
  readonly dialogs: Dialogs;
  readonly setWriting: (writing: Writing) => void;
  readonly setDialog: (dialog: OpenDialog) => void;
}

/** The talk of this room. It stays the same while messages come and change: only their own rows are drawn again. */
function useTalkOf({ store, room, view, happenings, viewer, dialogs, ...set }: TalkParts): Talk {
  const latest = useRef({ view, happenings });
  latest.current = { view, happenings };
  const { chat, other, participants, named, isMember } = view;
  return useMemo(() => {
    const index = new EntryIndex();
    const act = (action: MessageAction, message: Message, anchor: Element): void => {
      const { roomId, messageId } = message;
      switch (action) {
        case 'reply':
        case 'edit':
          return set.setWriting({ kind: action, message });
        case 'copy':
          return attempt(
            text('messages.copy'),
            copyText(message.message ?? '').then(() => tell({ kind: 'told', text: text('messages.copied') })),
          );
        case 'pin':
        case 'unpin': {
          const pinning = store.request('pin message', { roomId, messageId, on: action === 'pin' }, QUICK);
          return attempt(text(ACTION_TEXTS[action]), pinning);
        }
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
      ...{ room, viewer, act },
      get view() {
        return latest.current.view;
      },
      get happenings() {
        return latest.current.happenings;
      },
      find: (messageId) => index.find(latest.current.view.entries, messageId),
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
