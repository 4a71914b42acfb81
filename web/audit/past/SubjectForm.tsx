import type { User } from '@parley/client';
import { useRef, useState } from 'preact/hooks';
import { goTo } from '../../console/route.js';
import { pluralize } from '../../ui/format.js';
import { useConsole } from '../consoleContext.js';
import { hrefOf } from '../route.js';
import type { Subject } from './changes.js';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const MAX_QUERY_CHARS = 32;

/** Selects a room or a user by id, or a user by name. */
export function SubjectForm({ subject }: { readonly subject: Subject | undefined }) {
  const { api } = useConsole();
  const form = useRef<HTMLFormElement>(null);
  const [kind, setKind] = useState(subject?.kind ?? 'room');
  const [users, setUsers] = useState<readonly User[]>();
  const select = async (event: Event): Promise<void> => {
    event.preventDefault();
    const text = String(new FormData(form.current ?? undefined).get('subject')).trim();
    if (UUID.test(text)) return goTo(hrefOf('past', { [kind]: text.toLowerCase() }));
    if (text === '') return;
    const search = { q: text.slice(0, MAX_QUERY_CHARS), limit: 10 };
    const found = await api.json<{ users: User[] }>('/user/search', search).catch(() => ({ users: [] }));
    setUsers(found.users);
  };
  return (
    <>
      <form ref={form} class="panel choose" onSubmit={(event) => void select(event)}>
        <div class="field">
          <label for="kind">Show a</label>
          <select
            class="input"
            id="kind"
            value={kind}
            onChange={({ currentTarget }) => setKind(currentTarget.value === 'user' ? 'user' : 'room')}
          >
            <option value="room">Room</option>
            <option value="user">User</option>
          </select>
        </div>
        <div class="field grow">
          <label for="subject">ID, or user name</label>
          <input
            class="input mono"
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
      {users ? <SearchResult users={users} /> : null}
      {subject ? null : (
        <p class="quiet">
          You can also open an event and select “Room at this time” or “Actor at this time”.
        </p>
      )}
    </>
  );
}

function SearchResult({ users }: { readonly users: readonly User[] }) {
  return (
    <section class="panel" aria-label="Users found">
      <p role="status">
        {users.length === 0 ? 'No user found.' : `${pluralize(users.length, 'user')} found:`}
      </p>
      <ul class="row">
        {users.map(({ userId, username }) => (
          <li key={userId}>
            <a class="button" href={hrefOf('past', { user: userId })}>
              {username}
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}
