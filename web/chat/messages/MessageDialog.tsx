import { ClientError, type Message, type Store, type User } from '@parley/client';
import { useEffect } from 'preact/hooks';
import { assertNever } from '../../../src/base/errors.js';
import { displayName } from '../../ui/displayName.js';
import { errorText } from '../../ui/errorText.js';
import { formatClock, formatDay } from '../../ui/format.js';
import { useRequest } from '../../ui/hooks.js';
import { text } from '../../ui/texts.js';
import { QUICK } from '../chatActions.js';
import { attempt } from '../notices.js';
import { useAction } from '../people/useAction.js';
import type { OpenDialog } from './Conversation.js';
import { EmojiPicker } from './EmojiPicker.js';
import { useLines } from './farMessages.js';
import type { Target } from './goTo.js';
import { MessageMenu } from './MessageMenu.js';
import { membersOf } from './members.js';
import { MessageLine } from './PinBar.js';
import { Popup } from './Popup.js';
import { nameOf, type Talk, useTalk } from './talk.js';

interface Props {
  readonly store: Store;
  readonly dialog: OpenDialog;
  readonly onGoTo: (target: Target) => void;
  readonly onClose: () => void;
}

/** What can be done with a message, is asked or told of it, in a box above the page. */
export function MessageDialog({ store, dialog, onGoTo, onClose }: Props) {
  const talk = useTalk();
  const { room } = talk;
  switch (dialog.kind) {
    case 'menu':
      return <MessageMenu {...dialog} onClose={onClose} />;
    case 'pins':
      return <Pins store={store} talk={talk} onGoTo={onGoTo} onClose={onClose} />;
    case 'react': {
      const { messageId } = dialog.message;
      const react = (emoji: string): void => {
        attempt(text('messages.react'), room.react(messageId, emoji, true));
        onClose();
      };
      return (
        <Popup label={text('messages.react')} anchor={dialog.anchor} onClose={onClose}>
          <EmojiPicker onPick={react} />
        </Popup>
      );
    }
    case 'edits':
      return (
        <Box title={text('messages.edits')} onClose={onClose}>
          <Edits talk={talk} message={dialog.message} />
        </Box>
      );
    case 'reactions':
      return (
        <Box title={text('messages.reactions')} onClose={onClose}>
          <Reactors talk={talk} message={dialog.message} />
        </Box>
      );
    case 'readers':
      return (
        <Box title={text('messages.readers')} onClose={onClose}>
          <Readers store={store} talk={talk} message={dialog.message} />
        </Box>
      );
    case 'delete':
      return <DeleteQuestion talk={talk} message={dialog.message} onClose={onClose} />;
    default:
      return assertNever(dialog);
  }
}

interface BoxProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: preact.ComponentChildren;
}

function Box({ title, onClose, children }: BoxProps) {
  return (
    <Popup label={title} anchor={undefined} onClose={onClose}>
      <h2>{title}</h2>
      {children}
      <div class="choices">
        <button class="button" type="button" onClick={onClose}>
          {text('messages.close')}
        </button>
      </div>
    </Popup>
  );
}

interface OfMessage {
  readonly talk: Talk;
  readonly message: Message;
}

/** All texts that the message had, the oldest first. */
function Edits({ talk: { room }, message }: OfMessage) {
  const request = useRequest(`${message.messageId} ${message.rev}`, () => room.edits(message.messageId));
  if (request.state === 'failed') return <Failure error={request.error} />;
  if (request.state === 'loading') return <p role="status">{text('messages.loading')}</p>;
  return (
    <ol class="rows">
      {request.value.map(({ rev, message: was, at }) => (
        <li key={rev}>
          <p class="hint">
            {rev === 0 ? text('messages.firstText') : text('messages.editNumber', { number: rev })}
            {' · '}
            <time dateTime={at}>{`${formatDay(at)} ${formatClock(at)}`}</time>
          </p>
          <p class="text" dir="auto">
            {was ?? text('messages.deleted')}
          </p>
        </li>
      ))}
    </ol>
  );
}

function Reactors({ talk, message }: OfMessage) {
  return (
    <ul class="rows">
      {(message.reactions ?? []).map(({ emoji, userIds, count }) => (
        <li key={emoji}>
          <span class="emoji">{emoji}</span>{' '}
          <bdi>{userIds.map((userId) => nameOf(talk, userId)).join(', ')}</bdi>
          {count > userIds.length && ` ${text('messages.andOthers', { count: count - userIds.length })}`}
        </li>
      ))}
    </ul>
  );
}

/** Who has read the message, as far as they tell it. */
function Readers({ store, talk, message }: OfMessage & { readonly store: Store }) {
  const { room, view, viewer } = talk;
  const request = useRequest(message.messageId, async () => {
    const readers: string[] = [];
    let next: string | undefined;
    do {
      const page = await room.readers(message.seq, next);
      readers.push(...page.readers.map(({ userId }) => userId));
      next = page.next;
    } while (next !== undefined);
    const members = await membersOf(store, view);
    const others = readers.filter((userId) => userId !== viewer.me.userId);
    return others.flatMap((userId): User[] => members.filter((user) => user.userId === userId));
  });
  if (request.state === 'failed') return <Failure error={request.error} />;
  if (request.state === 'loading') return <p role="status">{text('messages.loading')}</p>;
  return (
    <>
      <p class="hint">{text('messages.readBy', { count: request.value.length })}</p>
      <ul class="rows">
        {request.value.map((user) => (
          <li key={user.userId}>
            <bdi>{displayName(user)}</bdi>
          </li>
        ))}
      </ul>
    </>
  );
}

function Failure({ error }: { readonly error: unknown }) {
  return (
    <p class="error" role="alert">
      {error instanceof ClientError ? errorText(error) : text('messages.failed')}
    </p>
  );
}

function DeleteQuestion({ talk, message, onClose }: OfMessage & { readonly onClose: () => void }) {
  const { room, viewer } = talk;
  const isMine = message.senderId === viewer.me.userId;
  return (
    <Popup label={text('messages.deleteTitle')} anchor={undefined} onClose={onClose}>
      <h2>{text('messages.deleteTitle')}</h2>
      <p>{isMine ? text('messages.deleteMine') : text('messages.deleteTheirs')}</p>
      <div class="answers">
        <button class="button" type="button" onClick={onClose}>
          {text('messages.cancel')}
        </button>
        <button
          class="button danger"
          type="button"
          onClick={() => {
            attempt(text('messages.delete'), room.delete(message.messageId));
            onClose();
          }}
        >
          {text('messages.deleteForAll')}
        </button>
      </div>
    </Popup>
  );
}

interface PinsProps {
  readonly store: Store;
  readonly talk: Talk;
  readonly onGoTo: (target: Target) => void;
  readonly onClose: () => void;
}

/** All pinned messages, the newest first. */
function Pins({ store, talk, onGoTo, onClose }: PinsProps) {
  const { view, viewer } = talk;
  const { run, isBusy, error } = useAction();
  const { chat, roomId } = view;
  const pinned = chat?.pinnedMessages ?? [];
  const lineOf = useLines(talk, pinned);
  const canPin =
    chat?.roomType === 'GROUP' ? chat.role === 'admin' || chat.role === 'owner' : viewer.canWrite;
  useEffect(() => {
    if (pinned.length === 0) onClose();
  }, [pinned.length]);
  const unpin = (messageId: string): Promise<unknown> =>
    store.request('pin message', { roomId, messageId, on: false }, QUICK);
  return (
    <Box title={text('messages.pins')} onClose={onClose}>
      <p class="error" role="alert">
        {error}
      </p>
      <ul class="rows">
        {[...pinned].reverse().map((messageId) => (
          <li key={messageId} class="pinned-row">
            <button
              class="menu-item"
              type="button"
              onClick={() => {
                onClose();
                onGoTo({ messageId });
              }}
            >
              <MessageLine line={lineOf(messageId)} />
            </button>
            {canPin && (
              <button
                class="button plain"
                type="button"
                disabled={isBusy}
                onClick={() => void run(() => unpin(messageId))}
              >
                {text('messages.unpin')}
              </button>
            )}
          </li>
        ))}
      </ul>
    </Box>
  );
}
