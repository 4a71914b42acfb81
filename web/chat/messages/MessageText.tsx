import type { User } from '@parley/client';
import { useMemo } from 'preact/hooks';
import { displayName } from '../../ui/displayName.js';
import { ALL, isFewEmoji, partsOf } from './messageText.js';

interface Props {
  readonly text: string;
  readonly mentioned: readonly User[];
  readonly mentionsAll: boolean;
  readonly me: User;
}

/** The text of a message, with its links and mentions. */
export function MessageText({ text, mentioned, mentionsAll, me }: Props) {
  const parts = useMemo(() => partsOf(text, mentioned, mentionsAll), [text, mentioned, mentionsAll]);
  return (
    <p class={`text ${isFewEmoji(text) ? 'large' : ''}`} dir="auto">
      {parts.map((part) => {
        if (part.kind === 'text') return part.text;
        if (part.kind === 'link')
          return (
            <a href={part.url} tabIndex={-1} target="_blank" rel="noopener noreferrer">
              {part.text}
            </a>
          );
        const user = mentioned.find(({ userId }) => userId === part.userId);
        const isMe = part.userId === me.userId || part.userId === ALL;
        return (
          <b class={`mention ${isMe ? 'me' : ''}`} title={part.text}>
            <bdi>{user ? `@${displayName(user)}` : part.text}</bdi>
          </b>
        );
      })}
    </p>
  );
}
