import { useRef, useState } from 'preact/hooks';
import { describeError } from '../../console/consoleApi.js';
import { goTo } from '../../console/route.js';
import { displayName } from '../../ui/displayName.js';
import { pluralize } from '../../ui/format.js';
import { useConsole } from '../consoleContext.js';
import type { Found } from '../names.js';
import { hrefOf } from '../route.js';
import type { Subject } from './changes.js';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Finds a room or a user by name, or by id. */
export function SubjectForm({ subject }: { readonly subject: Subject | undefined }) {
  const { names } = useConsole();
  const form = useRef<HTMLFormElement>(null);
  const [kind, setKind] = useState(subject?.kind ?? 'room');
  const [found, setFound] = useState<Found>();
  const [error, setError] = useState<unknown>();
  const select = async (event: Event): Promise<void> => {
    event.preventDefault();
    const text = String(new FormData(form.current ?? undefined).get('subject')).trim();
    if (UUID.test(text)) return goTo(hrefOf('past', { [kind]: text.toLowerCase() }));
    if (text === '') return;
    setError(undefined);
    await names.find(text).then(setFound, setError);
  };
  return (
    <>
      <form ref={form} class="panel choose" onSubmit={(event) => void select(event)} aria-label="Whose past">
        <div class="field grow">
          <label for="subject">Name of a user or a group, or an ID</label>
          <input
            class="input"
            id="subject"
            name="subject"
            defaultValue={subject?.id ?? ''}
            spellcheck={false}
            autocomplete="off"
            autocapitalize="none"
          />
        </div>
        <div class="field">
          <label for="kind">An ID is of a</label>
          <select
            class="input"
            id="kind"
            value={kind}
            onChange={({ currentTarget }) => setKind(currentTarget.value === 'user' ? 'user' : 'room')}
          >
            <option value="room">room</option>
            <option value="user">user</option>
          </select>
        </div>
        <button class="button primary" type="submit">
          Show
        </button>
      </form>
      {error === undefined ? null : (
        <p class="notice bad" role="alert">
          {describeError(error)}
        </p>
      )}
      {found ? <SearchResult found={found} /> : null}
      {subject ? null : (
        <p class="quiet">
          A private chat is found by one of its two members. You can also open an event and select “Room at
          this time” or “Actor at this time”.
        </p>
      )}
    </>
  );
}

function SearchResult({ found: { people, groups, isComplete } }: { readonly found: Found }) {
  const parts = [
    ...(people.length > 0 ? [pluralize(people.length, 'user')] : []),
    ...(groups.length > 0 ? [pluralize(groups.length, 'group')] : []),
  ];
  return (
    <section class="panel" aria-label="Found">
      <p role="status">{parts.length === 0 ? 'Nothing has this name.' : `${parts.join(' and ')} found:`}</p>
      <ul class="row">
        {people.map((user) => (
          <li key={user.userId}>
            <a class="button" href={hrefOf('past', { user: user.userId })}>
              {displayName(user)}
            </a>
          </li>
        ))}
        {groups.map(({ roomId, names: [name, ...former] }) => (
          <li key={roomId}>
            <a class="button" href={hrefOf('past', { room: roomId })}>
              <span dir="auto">{name}</span>
              <span class="quiet">{former.length === 0 ? 'group' : `group, once ${former.join(', ')}`}</span>
            </a>
          </li>
        ))}
      </ul>
      {isComplete ? null : (
        <p class="quiet">Only the newest groups were searched. Find older ones by one of their members.</p>
      )}
    </section>
  );
}
