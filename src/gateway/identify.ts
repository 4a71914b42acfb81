import type { Logger } from 'pino';
import { badRequest, forbidden, unauthenticated } from '../base/errors.js';
import { requests, validate } from '../domain/contract.js';
import type { UserId } from '../domain/ids.js';
import type { User } from '../domain/userMessageChat.js';
import type { Session, SessionStore } from '../vault/vault.js';
import type { Handlers } from './commandRunner.js';
import type { Connection } from './connection.js';
import type { Cursor, Revisions, Vector } from './cursor.js';
import type { Hub } from './openConnections.js';
import type { Presence } from './presence.js';
import { answerText, closeCauses, type Request } from './protocol.js';

export interface IdentifyDeps {
  readonly sessions: Pick<SessionStore, 'find'>;
  readonly users: {
    readonly hub: Hub;
    readonly presence: Presence;
    /** The user as their own devices see them. */
    readonly find: (user: UserId) => Promise<User | undefined>;
  };
  readonly revisions: Revisions;
  /** Sends the connection the pushes that its user missed since the cursor, then makes it live. */
  readonly replay: (connection: Connection, user: UserId, since: Cursor) => Promise<void>;
  readonly logger: Logger;
}

/** Answers an `identity` request, or throws why it is refused. A refusal leaves the connection as it was. */
export type Identify = (connection: Connection, request: Request) => Promise<void>;

/**
 * Makes the function that identifies connections. A connection is joined, active and pushed to from the turn of the
 * event loop in which its answer is queued; with a cursor, pushes start in the turn in which the replay ends.
 */
export function createIdentify(deps: IdentifyDeps): Identify {
  const { sessions, revisions } = deps;
  const { hub, presence, find } = deps.users;

  async function authenticate(connection: Connection, token: string | undefined): Promise<Session> {
    const now = new Date();
    const session = token === undefined ? connection.bearer : await sessions.find(token, now);
    if (!session || Date.parse(session.expiresAt) <= now.getTime()) throw refuseToken();
    // Before anything else is waited for, so that no end of the session is missed.
    connection.setBearer(session);
    return session;
  }

  async function catchUp(connection: Connection, user: UserId, since: Cursor): Promise<void> {
    try {
      await deps.replay(connection, user, since);
    } catch (error) {
      // The client reconnects with its last cursor, and the replay continues there.
      deps.logger.warn({ err: error }, 'a replay was interrupted');
      connection.close(closeCauses.replayFailed);
    }
  }

  async function identify(connection: Connection, request: Request): Promise<void> {
    const { token, cursor } = validate(requests.identity.data, request.data);
    const session = await authenticate(connection, token);
    const since = cursor === undefined ? undefined : await revisions.parseCursor(cursor);
    const { userId } = session;
    const user = await find(userId);
    if (!user || user.erased) throw refuseToken();
    // Checked in the turn in which it is counted.
    if (!hub.hasRoomFor(userId)) return connection.close(closeCauses.tooManyConnections);
    await hub.enter(userId, connection);
    // The connection was closed meanwhile.
    if (!connection.isIdentifying) return hub.leave(userId, connection);
    void presence.setActive(userId, connection);
    const present = revisions.fannedOut;
    // Events below the answered cursor are never pushed. So later queries must include them, and wait for the fold.
    connection.recordAllSeen(handledBy(since, present));
    const answer = { user, cursor: cursor ?? revisions.liveCursor(present) };
    connection.sendText(answerText(request, JSON.stringify(answer)));
    connection.identify(session, since ? 'replaying' : 'live');
    if (since) void catchUp(connection, userId, since);
  }

  return async (connection, request) => {
    if (!connection.beginIdentifying()) throw badRequest('this connection has identified already');
    try {
      await identify(connection, request);
    } catch (error) {
      connection.endIdentifying();
      throw error;
    }
  };
}

/** The vector that includes all that a client with this cursor has handled. Without a cursor it is the present. */
function handledBy(since: Cursor | undefined, present: Vector): Vector {
  if (!since) return present;
  return since.kind === 'live' ? since.at : since.to;
}

const refuseToken = () => unauthenticated('the token is missing or ended');

/** Another token of the same user takes the place of the one that the connection has identified with. */
export function renewalHandler(sessions: Pick<SessionStore, 'find'>): Pick<Handlers, 'renew'> {
  return {
    renew: async (connection, me, { token }) => {
      const session = await sessions.find(token, new Date());
      if (!session) throw refuseToken();
      if (session.userId !== me) throw forbidden('this is a token of another user');
      connection.renewSession(session);
      return { expiresAt: session.expiresAt };
    },
  };
}
