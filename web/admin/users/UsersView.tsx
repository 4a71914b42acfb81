import type { User } from '@parley/client';
import { useRef } from 'preact/hooks';
import { FailureNotice } from '../../console/FailureNotice.js';
import { PageButtons, usePages } from '../../console/Pages.js';
import { addressOf, goTo, type Query } from '../../console/route.js';
import { pluralize } from '../../ui/format.js';
import { Icon } from '../../ui/icons.js';
import { type Administered, useVisitor } from '../adminContext.js';
import { UserRow } from './UserRow.js';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const MAX_QUERY_CHARS = 32;
const MAX_FOUND = 50;

/** Users, found by a part of a name or by id. Admins see all; moderators search. */
export function UsersView({ query: { q = '' } }: { readonly query: Query }) {
  const { isAdmin } = useVisitor();
  const form = useRef<HTMLFormElement>(null);
  const search = (event: Event): void => {
    event.preventDefault();
    const text = String(new FormData(form.current ?? undefined).get('q')).trim();
    goTo(addressOf('users', { q: text }));
  };
  return (
    <>
      <form ref={form} class="panel choose" aria-label="Find users" onSubmit={search}>
        <div class="field grow">
          <label for="q">Name or user ID</label>
          <input
            class="input"
            id="q"
            name="q"
            key={q}
            defaultValue={q}
            spellcheck={false}
            autocomplete="off"
            autocapitalize="none"
            aria-describedby="q-hint"
          />
          <span class="hint" id="q-hint">
            A part of a user name or of a display name, such as “ann”, or the whole ID of a user.
          </span>
        </div>
        <button class="button primary" type="submit">
          <Icon name="search" />
          Search
        </button>
      </form>
      {isAdmin || q !== '' ? (
        <UserPages key={q} q={q} />
      ) : (
        <p class="quiet">
          Search for a user to suspend them or to end a suspension. Your friends, users who have blocked you,
          and users who do not want to be found by a part of their name are found by their ID only.
        </p>
      )}
    </>
  );
}

interface UsersPage {
  readonly users: readonly Administered[];
  readonly next?: string;
}

function UserPages({ q }: { readonly q: string }) {
  const { api, isAdmin } = useVisitor();
  const pages = usePages(async (next, signal): Promise<UsersPage> => {
    if (isAdmin && !UUID.test(q))
      return api.json('/admin/users', { q: q.slice(0, MAX_QUERY_CHARS), next }, signal);
    if (!UUID.test(q)) {
      const asked = { q: q.slice(0, MAX_QUERY_CHARS), limit: MAX_FOUND };
      const { users } = await api.json<{ users: User[] }>('/user/search', asked, signal);
      return { users: users.map((user) => ({ user })) };
    }
    const { user } = await api.json<{ user: User }>(`/user/${q.toLowerCase()}`, {}, signal);
    if (!isAdmin || user.username === null) return { users: [{ user }] };
    // The list knows more of the user than the profile does.
    const named = await api.json<UsersPage>('/admin/users', { q: user.username }, signal);
    return { users: named.users.filter((one) => one.user.userId === user.userId) };
  });
  const { request, reload } = pages;
  if (request.state === 'failed') return <FailureNotice error={request.error} />;
  if (!request.value) return <p role="status">Searching…</p>;
  const { users } = request.value;
  return (
    <section aria-label="Users found" aria-busy={request.state === 'loading'}>
      <p class="quiet" role="status">
        {users.length === 0
          ? 'No user found.'
          : `${pages.number > 1 || request.value.next !== undefined ? `Page ${pages.number}: ` : ''}${pluralize(users.length, 'user')}.`}
      </p>
      <ul class="list users">
        {users.map((one) => (
          <li key={one.user.userId}>
            <UserRow administered={one} onChanged={reload} />
          </li>
        ))}
      </ul>
      <PageButtons pages={pages} />
    </section>
  );
}
