import type { User } from '@parley/client';
import type { ComponentChildren } from 'preact';
import { displayName } from '../../ui/displayName.js';
import { Avatar } from '../../ui/icons.js';

interface RowProps {
  readonly avatar: ComponentChildren;
  readonly name: string;
  /** Below the name; empty: nothing. */
  readonly hint: string;
  /** What a press does, for screen readers. It begins with the name. */
  readonly label: string;
  readonly onPress: () => void;
  /** Beside the name. */
  readonly children?: ComponentChildren;
}

/** A person or a group of a list. The whole row is pressed; only the name is its button, so that its label says what is shown. */
export function Row({ avatar, name, hint, label, onPress, children }: RowProps) {
  return (
    <li class="person">
      {avatar}
      <span class="texts">
        <button class="person-button name" type="button" data-row aria-label={label} onClick={onPress}>
          <bdi>{name}</bdi>
        </button>
        <Hint hint={hint} />
      </span>
      {children}
    </li>
  );
}

interface PersonProps extends Pick<RowProps, 'label' | 'onPress'> {
  readonly user: User;
  /** Default: the user name, if another name is shown, and the status. */
  readonly hint?: string;
  readonly children?: ComponentChildren;
}

/** A person of a list. */
export const PersonRow = ({ user, hint = hintOf(user), ...row }: PersonProps) => (
  <Row avatar={<Avatar user={user} />} name={displayName(user)} hint={hint} {...row} />
);

/** The name of a person over a line of hints. */
export const PersonName = ({ user }: { readonly user: User }) => (
  <span class="texts">
    <b class="name">
      <bdi>{displayName(user)}</bdi>
    </b>
    <Hint hint={hintOf(user)} />
  </span>
);

const Hint = ({ hint }: { readonly hint: string }) =>
  hint === '' ? null : (
    <span class="name hint">
      <bdi>{hint}</bdi>
    </span>
  );

/** The user name below another name. It runs from left to right, with its sign, in every language. */
export const UserName = ({ name }: { readonly name: string }) => (
  <p class="hint">
    <bdi>@{name}</bdi>
  </p>
);

/** The user name where another name is shown, and the status. */
export function hintOf({ username, displayName: shown, status }: User): string {
  const parts = [shown !== undefined && username !== null ? `@${username}` : undefined, status];
  return parts.filter((part) => part !== undefined).join(' · ');
}
