import { Rest, type User } from '@parley/client';
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { useRequest } from '../ui/hooks.js';
import { freshToken, hasLapsed, signOutOfServer } from '../ui/renewal.js';
import { SignIn } from '../ui/SignIn.js';
import {
  endSession,
  finishBeforeEnd,
  loadSession,
  noteEndCause,
  onSessionChange,
  type Session,
} from '../ui/session.js';
import { ConsoleApi, describeError } from './consoleApi.js';

const rest = new Rest('');

/** A role, as the server names it. */
export type Role = 'auditor' | 'moderator' | 'admin';

/** The user who is signed in, with what they may do. */
export interface Visitor {
  readonly user: User;
  readonly roles: readonly Role[];
  readonly api: ConsoleApi;
  readonly signOut: () => void;
}

/** What somebody without the role is shown. */
export interface Closed extends Pick<Visitor, 'user' | 'signOut'> {
  readonly checkAgain: () => void;
}

interface Props {
  readonly title: string;
  /** One sentence below the title of the sign-in form. */
  readonly purpose: string;
  /** The role that opens the page. */
  readonly needs: Role;
  readonly closed: (closed: Closed) => ComponentChildren;
  readonly open: (visitor: Visitor) => ComponentChildren;
}

/** The sign-in form, then the page if the user has the role. */
export function Gate(props: Props) {
  const [session, setSession] = useState(loadSession);
  // A renewed token is no other session.
  useEffect(
    () => onSessionChange(session, (next) => setSession((shown) => (next && shown) ?? next)),
    [session],
  );
  if (!session)
    return <SignIn rest={rest} purpose={props.purpose} initialMode="sign in" onSignedIn={setSession} />;
  return <RoleCheck key={session.user.userId} session={session} {...props} />;
}

function RoleCheck({ session, title, needs, closed, open }: Props & { readonly session: Session }) {
  const [attempt, setAttempt] = useState(0);
  const leave = (): void => endSession(session);
  const api = useMemo(() => {
    const leaveRefused = (): void => {
      if (hasLapsed(session)) noteEndCause('lapsed');
      leave();
    };
    return new ConsoleApi(() => freshToken(session), leaveRefused);
  }, [session]);
  const request = useRequest(String(attempt), (signal) =>
    api.json<{ readonly roles: readonly Role[] }>('/user/me/roles', {}, signal),
  );
  const signOut = (): void => {
    void finishBeforeEnd(signOutOfServer(rest, session));
    leave();
  };
  const checkAgain = (): void => setAttempt(attempt + 1);
  const { user } = session;
  if (request.state === 'failed')
    return (
      <main class="alone">
        <h1>{title}</h1>
        <p role="alert">{describeError(request.error)}</p>
        <button class="button" type="button" onClick={checkAgain}>
          Try again
        </button>
      </main>
    );
  if (!request.value) return <p class="alone">Loading…</p>;
  const { roles } = request.value;
  return (
    <>{roles.includes(needs) ? open({ user, roles, api, signOut }) : closed({ user, signOut, checkAgain })}</>
  );
}
