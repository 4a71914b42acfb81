import type { User } from '@parley/client';
import { useState } from 'preact/hooks';
import { displayName } from '../../ui/displayName.js';
import { Avatar, Icon } from '../../ui/icons.js';
import { text } from '../../ui/texts.js';
import { useChatPage } from '../chatContext.js';
import { peopleNamed, useFound } from '../PeopleSearch.js';
import { PersonName } from '../people/PersonRow.js';

interface Props {
  readonly chosen: readonly User[];
  readonly onChange: (chosen: readonly User[]) => void;
  /** Ids of those who cannot be chosen. */
  readonly without: ReadonlySet<string>;
}

/** Chooses people: friends, partners of chats, and those whom a search finds. */
export function PeoplePicker({ chosen, onChange, without }: Props) {
  const { snapshot, me } = useChatPage();
  const [query, setQuery] = useState('');
  const [error, setError] = useState<string>();
  const wanted = query.trim();
  const found = useFound(wanted, setError);
  const people = peopleNamed(snapshot, wanted, wanted === '' ? [] : found).filter(
    ({ userId, erased }) => !erased && userId !== me.userId && !without.has(userId),
  );
  const isChosen = ({ userId }: User): boolean => chosen.some((user) => user.userId === userId);
  const toggle = (user: User): void =>
    onChange(isChosen(user) ? chosen.filter(({ userId }) => userId !== user.userId) : [...chosen, user]);
  return (
    <fieldset class="picker">
      <legend>{text('picker.label')}</legend>
      {chosen.length > 0 && (
        <ul class="chips" aria-label={text('picker.chosen')}>
          {chosen.map((user) => (
            <li key={user.userId}>
              <button
                class="chip"
                type="button"
                aria-label={text('picker.remove', { name: displayName(user) })}
                onClick={() => toggle(user)}
              >
                <bdi>{displayName(user)}</bdi>
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ul>
      )}
      <input
        class="input"
        type="search"
        dir="auto"
        aria-label={text('picker.search')}
        placeholder={text('picker.search')}
        value={query}
        onInput={(event) => setQuery(event.currentTarget.value)}
        onKeyDown={(event) => event.key === 'Enter' && event.preventDefault()}
      />
      <p class="hint" role="status">
        {error ?? (people.length === 0 ? text(wanted === '' ? 'picker.hint' : 'picker.none') : '')}
      </p>
      <ul class="people">
        {people.map((user) => (
          <li key={user.userId}>
            <label class="chat">
              <input type="checkbox" data-row checked={isChosen(user)} onChange={() => toggle(user)} />
              <Avatar user={user} />
              <PersonName user={user} />
            </label>
          </li>
        ))}
      </ul>
    </fieldset>
  );
}
