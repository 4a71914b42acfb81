import type { Message } from '@parley/client';
import { Icon } from '../../ui/icons.js';
import { text } from '../../ui/texts.js';
import { ACTION_TEXTS, actionsOn, canReact, type MessageAction, useTalk } from './talk.js';

const ICONS = { react: 'react', reply: 'reply', menu: 'more' } as const;

/** The most frequent actions on a message, shown to a mouse over it and to the keyboard; a finger has the menu. */
export function MessageBar({ message }: { readonly message: Message }) {
  const { view, viewer, act } = useTalk();
  const actions = actionsOn(message, view, viewer);
  if (actions.length === 0) return null;
  const names: readonly (keyof typeof ICONS & MessageAction)[] = [
    ...(canReact(message, view) ? (['react'] as const) : []),
    ...(actions.includes('reply') ? (['reply'] as const) : []),
    'menu',
  ];
  return (
    <div class="message-bar">
      {names.map((name) => (
        <button
          key={name}
          class="button plain icon"
          type="button"
          tabIndex={-1}
          aria-label={text(ACTION_TEXTS[name])}
          aria-haspopup={name === 'reply' ? undefined : 'dialog'}
          onClick={(event) => act(name, message, event.currentTarget)}
        >
          <Icon name={ICONS[name]} />
        </button>
      ))}
    </div>
  );
}
