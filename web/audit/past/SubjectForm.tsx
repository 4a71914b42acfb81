import { useRef, useState } from 'preact/hooks';
import { FailureNotice } from '../../console/FailureNotice.js';
import { goTo } from '../../console/route.js';
import { displayName } from '../../ui/displayName.js';
import { pluralize } from '../../ui/format.js';
import { useConsole } from '../consoleContext.js';
import type { Found } from '../names.js';
import { hrefOf } from '../route.js';
import type { Subject } from './changes.js';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

type Kind = Subject['kind'];

/** What a search for each kind looks for. */
const labels: Readonly<Record<Kind, string>> = {
  user: 'User name, display name or user ID',
  room: 'Name of a group, or room ID',
};

/** Finds a room or a user by name, or by id. */
export function SubjectForm({ subject }: { readonly subject: Subject | undefined }) {
  const { names } = useConsole();
  const form = useRef<HTMLFormElement>(null);
  const [kind, setKind] = useState<Kind>(subject?.kind ?? 'user');
  const [found, setFound] = useState<Found>();
  const [error, setError] = useState<unknown>();
  const choose = (next: Kind): void => {
    setKind(next);
    setFound(undefined);
  };
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
      <form
        ref={form}
        class="panel choose"
        onSubmit={(event) => void select(event)}
        aria-label="Room or user"
      >
        <div class="field">
          <label for="kind">Find a</label>
          <select
            class="input"
            id="kind"
            value={kind}
            onChange={({ currentTarget }) => choose(currentTarget.value === 'user' ? 'user' : 'room')}
          >
            <option value="user">user</option>
            <option value="room">room</option>
          </select>
        </div>
        <div class="field grow">
          <label for="subject">{labels[kind]}</label>
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
        <button class="button primary" type="submit">
          Show
        </button>
      </form>
      {error === undefined ? null : <FailureNotice error={error} />}
      {found ? <SearchResult kind={kind} found={found} /> : null}
      {subject ? null : (
        <p class="quiet">
          A private chat is found by one of its two members. You can also open an event and select “Room at
          this time” or “Actor at this time”.
        </p>
      )}
    </>
  );
}

function SearchResult({ kind, found }: { readonly kind: Kind; readonly found: Found }) {
  const people = kind === 'user' ? found.people : [];
  const groups = kind === 'room' ? found.groups : [];
  const count = people.length + groups.length;
  const thing = kind === 'user' ? 'user' : 'group';
  return (
    <section class="panel" aria-label="Found">
      <p role="status">
        {count === 0 ? `No ${thing} has a name with this text.` : `${pluralize(count, thing)} found:`}
      </p>
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
      {kind === 'user' && found.hasMorePeople ? (
        <p class="quiet">More users have a name with this text. Type more of the name to find them.</p>
      ) : null}
      {kind === 'user' || found.isComplete ? null : (
        <p class="quiet">Only the newest groups were searched. Find older ones by one of their members.</p>
      )}
    </section>
  );
}
