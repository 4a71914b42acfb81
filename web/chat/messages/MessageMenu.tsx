import type { Message } from '@parley/client';
import { Icon } from '../../ui/icons.js';
import { text } from '../../ui/texts.js';
import { attempt } from '../notices.js';
import { Popup } from './Popup.js';
import { ACTION_TEXTS, actionsOn, canReact, type MessageAction, useTalk } from './talk.js';

/** The reactions that are one press away. */
const QUICK = ['👍', '❤️', '😂', '😮', '😢', '🙏'] as const;

const ICONS = {
  reply: 'reply',
  copy: 'copy',
  edit: 'edit',
  pin: 'pin',
  unpin: 'pin',
  edits: 'waiting',
  reactions: 'react',
  readers: 'read',
  report: 'refused',
  delete: 'delete',
  menu: 'more',
  react: 'react',
} as const satisfies Readonly<Record<MessageAction, unknown>>;

interface Props {
  readonly message: Message;
  readonly anchor: Element;
  readonly onClose: () => void;
}

/** Everything that can be done with a message. */
export function MessageMenu({ message, anchor, onClose }: Props) {
  const { room, view, viewer, act } = useTalk();
  const { messageId, reactions = [] } = message;
  const has = (emoji: string): boolean =>
    reactions.some((one) => one.emoji === emoji && one.userIds.includes(viewer.me.userId));
  const react = (emoji: string): void => {
    attempt(text('messages.react'), room.react(messageId, emoji, !has(emoji)));
    onClose();
  };
  const choose = (action: MessageAction): void => {
    onClose();
    act(action, message, anchor);
  };
  return (
    <Popup label={text('messages.menu')} anchor={anchor} kind="menu" onClose={onClose}>
      {canReact(message, view) && (
        <div class="quick-reactions">
          {QUICK.map((emoji) => (
            <button
              key={emoji}
              class="button plain icon emoji"
              type="button"
              aria-pressed={has(emoji)}
              aria-label={text('messages.reactWith', { emoji })}
              onClick={() => react(emoji)}
            >
              {emoji}
            </button>
          ))}
          <button
            class="button plain icon"
            type="button"
            aria-label={text('messages.moreEmoji')}
            onClick={() => choose('react')}
          >
            <Icon name="react" />
          </button>
        </div>
      )}
      {actionsOn(message, view, viewer).map((action) => (
        <button
          key={action}
          class={`menu-item ${action === 'delete' ? 'danger' : ''}`}
          type="button"
          onClick={() => choose(action)}
        >
          <Icon name={ICONS[action]} />
          {text(ACTION_TEXTS[action])}
        </button>
      ))}
    </Popup>
  );
}
