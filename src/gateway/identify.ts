import type { Logger } from 'pino';
import { badRequest, unauthenticated } from '../base/errors.js';
import { requests, validate } from '../domain/contract.js';
import type { UserId } from '../domain/ids.js';
import type { SessionStore } from '../vault/vault.js';
import { closeCauses } from './closeCodes.js';
import type { Connection } from './connection.js';
import type { Cursor, Cursors, Revisions, Vector } from './cursor.js';
import type { Profiles } from './directory.js';
import type { Hub } from './hub.js';
import type { Presence } from './presence.js';
import { answerText, type Request } from './protocol.js';
import { type ReplayDeps, replay } from './resume.js';

export interface IdentifyDeps {
  readonly sessions: SessionStore;
  readonly hub: Hub;
  readonly profiles: Profiles;
  readonly presence: Presence;
  readonly cursors: Cursors;
  readonly revisions: Revisions;
  readonly replay: ReplayDeps;
  readonly logger: Logger;
}

/** What a device has been told by the cursor it begins with: its own, or the present. */
function toldBy(since: Cursor | undefined, present: Vector): Vector {
  if (!since) return present;
  return since.kind === 'live' ? since.at : since.from;
}

/**
 * Signs a connection in: it is joined, active and pushed to from the turn of the event loop in which its answer is
 * queued, or, where a cursor was given, from the one in which the last of the replay is. A refusal leaves it as it was.
 */
export function createIdentify(
  deps: IdentifyDeps,
): (connection: Connection, request: Request) => Promise<void> {
  const { sessions, hub, profiles, presence, cursors, revisions } = deps;

  async function catchUp(connection: Connection, user: UserId, since: Cursor): Promise<void> {
    try {
      await replay(connection, user, since, () => connection.goLive(), deps.replay);
    } catch (error) {
      // The client comes back with its last cursor, and the replay goes on from there.
      deps.logger.warn({ err: error }, 'a replay was cut off');
      connection.close(closeCauses.replayFailed);
    }
  }

  return async (connection, request) => {
    if (!connection.beginIdentifying()) throw badRequest('this connection has identified already');
    try {
      const { token, cursor } = validate(requests.identity.data, request.data);
      const now = new Date();
      const bearer = token === undefined ? connection.bearer : await sessions.find(token, now);
      if (!bearer || Date.parse(bearer.expiresAt) <= now.getTime())
        throw unauthenticated('the token is missing or ended');
      // In the turn in which it was found, so that no end of the session is missed.
      connection.setBearer(bearer);
      const since = cursor === undefined ? undefined : await revisions.parseCursor(cursor);
      const { userId } = bearer;
      const user = (await profiles.load([userId])).get(userId);
      if (!user || user.erased) throw unauthenticated('the token is missing or ended');
      await hub.enter(userId, connection);
      // Closed meanwhile.
      if (!connection.isIdentifying) return hub.leave(userId, connection);
      void presence.active(userId, connection);
      const present = deps.replay.vector();
      // Nobody pushes what lies below the cursor that is answered: queries have to hold it, folded yet or not.
      for (const [partition, size] of toldBy(since, present).entries()) connection.saw(partition, size);
      const answer = { user, cursor: cursor ?? cursors.live(present) };
      connection.sendText(answerText(request, JSON.stringify(answer)));
      connection.identify(bearer, since ? 'replaying' : 'live');
      if (since) void catchUp(connection, userId, since);
    } catch (error) {
      connection.endIdentifying();
      throw error;
    }
  };
}
