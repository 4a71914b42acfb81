import { useRef, useState } from 'preact/hooks';
import type { User } from '../../../src/client/index.js';
import { useConsole } from '../console.js';
import { goTo, hrefOf } from '../route.js';
import type { Subject } from './moments.js';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whose past is to be shown: a room or a person by id, a person by name too. */
export function Choose({ subject }: { readonly subject: Subject | undefined }) {
  const { api } = useConsole();
  const form = useRef<HTMLFormElement>(null);
  const [people, setPeople] = useState<readonly User[]>();
  const choose = async (event: Event): Promise<void> => {
    event.preventDefault();
    const data = new FormData(form.current ?? undefined);
    const [kind, text] = [data.get('kind') === 'user' ? 'user' : 'room', String(data.get('whose')).trim()];
    if (UUID.test(text)) return goTo(hrefOf('past', { [kind]: text.toLowerCase() }));
    if (text === '') return;
    const search = { q: text.slice(0, 32), limit: 10 };
    const { users } = await api.json<{ users: User[] }>('/user/search', search).catch(() => ({ users: [] }));
    setPeople(users);
  };
  return (
    <>
      <form ref={form} class="panel choose" onSubmit={(event) => void choose(event)}>
        <div class="field">
          <label for="kind">Of a</label>
          <select class="input" id="kind" name="kind" value={subject?.kind ?? 'room'}>
            <option value="room">room</option>
            <option value="user">person</option>
          </select>
        </div>
        <div class="field grow">
          <label for="whose">Its id, or the name of a person</label>
          <input
            class="input mono"
            id="whose"
            name="whose"
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
      {people ? (
        <section class="panel" aria-label="People of this name">
          <p role="status">
            {people.length === 0 ? 'Nobody of this name was found.' : `${people.length} found:`}
          </p>
          <ul class="row">
            {people.map(({ userId, username }) => (
              <li key={userId}>
                <a class="button" href={hrefOf('past', { user: userId })}>
                  {username}
                </a>
              </li>
            ))}
          </ul>
        </section>
      ) : null}
      {subject ? null : (
        <p class="quiet">
          Any event of the search leads here: open it, and choose the room or the actor as of then.
        </p>
      )}
    </>
  );
}
