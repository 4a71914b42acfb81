import type { User } from '@parley/client';
import { useEffect, useState } from 'preact/hooks';
import { displayName } from '../../ui/displayName.js';
import { text } from '../../ui/texts.js';
import { useChatPage } from '../chatContext.js';
import { InviteButton } from '../invitation.js';
import { contains } from '../PeopleSearch.js';
import { markSeen, useNewFriends } from './newFriends.js';
import { PersonRow } from './PersonRow.js';

/** Fewer than these are seen at once, without a search. */
const SEARCHED_FRIENDS = 10;

/** The friends by name; those whom the user has not seen before are marked as new. */
export function FriendsView() {
  const { snapshot, me } = useChatPage();
  const { friends } = snapshot;
  const newOnes = useNewFriends();
  // They stay new while the list is open.
  const [known, setKnown] = useState<ReadonlySet<string>>(new Set());
  const [query, setQuery] = useState('');
  useEffect(() => {
    if (newOnes.length === 0) return;
    setKnown(new Set([...known, ...newOnes.map(({ userId }) => userId)]));
    markSeen(me.userId, friends);
  }, [newOnes, friends, me.userId]);
  const isNew = ({ userId }: User): boolean => known.has(userId);
  const shown = friends.filter(({ username, displayName: name }) => contains(query.trim(), username, name));
  const inOrder = [...shown.filter(isNew), ...shown.filter((user) => !isNew(user))];
  if (friends.length === 0)
    return (
      <>
        <p class="hint">{text('friends.none')}</p>
        <InviteButton />
      </>
    );
  return (
    <>
      <p class="hint">{text('friends.hint')}</p>
      {friends.length >= SEARCHED_FRIENDS && (
        <input
          class="input"
          type="search"
          dir="auto"
          aria-label={text('friends.search')}
          placeholder={text('friends.search')}
          value={query}
          onInput={(event) => setQuery(event.currentTarget.value)}
        />
      )}
      <ul class="people">
        {inOrder.map((user) => (
          <FriendRow key={user.userId} user={user} isNew={isNew(user)} />
        ))}
      </ul>
      <InviteButton />
    </>
  );
}

function FriendRow({ user, isNew }: { readonly user: User; readonly isNew: boolean }) {
  const { dialogs } = useChatPage();
  const name = displayName(user);
  return (
    <PersonRow
      user={user}
      label={text(isNew ? 'friends.newProfile' : 'friends.profile', { name })}
      onPress={() => dialogs.open({ name: 'profile', user })}
    >
      {isNew && <span class="tag">{text('friends.new')}</span>}
    </PersonRow>
  );
}
