import type { User } from '@parley/client';
import type { ComponentChildren } from 'preact';
import { displayName } from '../../ui/displayName.js';
import { Avatar } from '../../ui/icons.js';

interface Props {
  readonly user: User;
  /** What a press does, for screen readers. */
  readonly label: string;
  readonly onPress: () => void;
  /** Below the name. Default: the user name, if another name is shown, and the status. */
  readonly hint?: string;
  /** Beside the name. */
  readonly children?: ComponentChildren;
}

/** A person of a list. */
export function PersonRow({ user, label, onPress, hint = hintOf(user), children }: Props) {
  return (
    <li class="person">
      <button class="chat" type="button" data-row aria-label={label} onClick={onPress}>
        <Avatar user={user} />
        <PersonName user={user} hint={hint} />
      </button>
      {children}
    </li>
  );
}

/** The name of a person over a line of hints. */
export function PersonName({ user, hint = hintOf(user) }: { readonly user: User; readonly hint?: string }) {
  return (
    <span class="texts">
      <b class="name">
        <bdi>{displayName(user)}</bdi>
      </b>
      {hint !== '' && (
        <span class="name hint">
          <bdi>{hint}</bdi>
        </span>
      )}
    </span>
  );
}

/** The user name where another name is shown, and the status. */
export function hintOf({ username, displayName: shown, status }: User): string {
  const parts = [shown !== undefined && username !== null ? `@${username}` : undefined, status];
  return parts.filter((part) => part !== undefined).join(' · ');
}
