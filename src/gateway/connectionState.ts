import { assertNever } from '../base/errors.js';
import type { Session } from '../vault/vault.js';

/** After this time, a client that does not answer the close frame is disconnected. */
const CLOSE_TIMEOUT_MS = 5000;

/** Must identify before `deadline`. `bearer`: the session of a token that it has shown, at the upgrade or later. */
interface Unidentified {
  readonly deadline: number;
  readonly bearer: Session | undefined;
}

/** A connection's state. It alone decides which actions are allowed. */
export type ConnectionState =
  | (Unidentified & { readonly kind: 'unidentified' })
  /** An `identity` is being worked on. */
  | (Unidentified & { readonly kind: 'identifying' })
  /** Replaying, it receives the missed pushes, and no live ones yet. */
  | { readonly kind: 'replaying' | 'live'; readonly session: Session; readonly sessionEndsAt: number }
  /** `bearer`: the one of the state before. */
  | { readonly kind: 'closing'; readonly since: number; readonly bearer: Session | undefined };

/** The session of a client that has identified. */
export function sessionOf(state: ConnectionState): Session | undefined {
  return state.kind === 'live' || state.kind === 'replaying' ? state.session : undefined;
}

/** When the session's life is over: monotonic milliseconds. Without a session, never. */
export function sessionEndOf(state: ConnectionState): number {
  return 'sessionEndsAt' in state ? state.sessionEndsAt : Number.POSITIVE_INFINITY;
}

/** The session whose token the client has shown, whether it has identified or not. */
export function bearerOf(state: ConnectionState): Session | undefined {
  return 'session' in state ? state.session : state.bearer;
}

/** What the client has not sent in time. */
export function overdueOf(state: ConnectionState, now: number): 'identity' | 'close frame' | undefined {
  switch (state.kind) {
    case 'unidentified':
    case 'identifying':
      return now >= state.deadline ? 'identity' : undefined;
    case 'closing':
      return now - state.since >= CLOSE_TIMEOUT_MS ? 'close frame' : undefined;
    case 'replaying':
    case 'live':
      return undefined;
    default:
      return assertNever(state);
  }
}
