import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { forbidden, notFound, ParleyError } from '../../base/errors.js';
import {
  type Answer,
  type CommandKind,
  type CommandOf,
  type CommandRouter,
  type Moment,
  routerVia,
} from '../../domain/commands.js';
import { Id, label } from '../../domain/fields.js';
import type { RoomId, UserId } from '../../domain/ids.js';
import { HOST_ID_CHARACTERS } from '../../domain/limits.js';
import { completeAnswer } from '../../gateway/commandRunner.js';
import type { HostUsers } from '../../host/hostUsers.js';
import type { Queries } from '../../projections/queries.js';
import type { ServerKey, ServerKeyStore } from '../../vault/serverKeys.js';
import type { KeyStore, SessionStore } from '../../vault/vault.js';
import type { UserAdministration } from '../administration.js';
import { type FindPresent, standingOf } from '../auth.js';

/** What the resources of the host application need. */
export interface ServerParts {
  readonly keys: Pick<ServerKeyStore, 'find'>;
  readonly users: Pick<HostUsers, 'ensure' | 'find'>;
  readonly reads: {
    readonly queries: Queries;
    readonly present: FindPresent;
    /** The host application's own id of a user; undefined of a user without one, and of an erased user. */
    readonly hostIdOf: (userId: UserId) => Promise<string | undefined>;
    /** What a query must include to show all that is in the log of a room. */
    readonly roomNow: (roomId: RoomId) => Promise<readonly Moment[]>;
    /** As `roomNow`, of all rooms. */
    readonly now: () => Promise<readonly Moment[]>;
  };
  readonly writes: {
    readonly commands: CommandRouter;
    /** See `CommandRunnerDeps.destroyed`. */
    readonly destroyed: (moment: Moment) => Promise<void>;
    /** Holds the keys of the names of groups. */
    readonly keys: Pick<KeyStore, 'create'>;
  };
  readonly access: {
    readonly administration: UserAdministration;
    readonly sessions: Pick<SessionStore, 'create' | 'revoke'>;
    readonly lifetimeMs: number;
  };
}

const PREFIX = 'ext:';
const HostId = label(HOST_ID_CHARACTERS);

/** A user as the host application names one: by the id that Parley gave, or by `ext:` and its own. */
export const HostUserId = z
  .string()
  .refine(
    (text) => isHostUserId(text),
    `must be a user id, or ${PREFIX} and 1–${HOST_ID_CHARACTERS} characters`,
  )
  .meta({ description: `A user id, or \`${PREFIX}\` and your own id of the user.`, examples: ['ext:4711'] });

const isHostUserId = (text: string): boolean => hostIdIn(text) !== undefined || Id.safeParse(text).success;

/** The host application's own id; undefined of another text. */
export function hostIdIn(text: string): string | undefined {
  if (!text.startsWith(PREFIX)) return undefined;
  const parsed = HostId.safeParse(text.slice(PREFIX.length));
  return parsed.success ? parsed.data : undefined;
}

/** Runs what comes through a server key. */
export class HostRequests {
  readonly #parts: ServerParts;

  constructor(parts: ServerParts) {
    this.#parts = parts;
  }

  /** The user of an id in a path or a body. Throws `not_found`, also for a text that is no id. */
  async userId(text = ''): Promise<UserId> {
    const hostId = hostIdIn(text);
    if (hostId !== undefined) {
      const userId = await this.#parts.users.find(hostId);
      if (userId === undefined) throw notFound(`there is no user with your id ${text}`);
      return userId;
    }
    const parsed = Id.safeParse(text);
    if (!parsed.success)
      throw notFound(`this is not the id of a user: give a user id, or ${PREFIX} and your own id`);
    return parsed.data;
  }

  /** The user in whose name something is done. Throws `not_found` or `forbidden` for one who may do nothing. */
  async actor(text = ''): Promise<UserId> {
    const userId = await this.userId(text);
    const standing = await standingOf(this.#parts.reads.present, userId);
    if (standing === 'erased') throw notFound(`there is no user ${text}, or they are erased`);
    if (standing === 'suspended') throw forbidden('this user is suspended', 'suspended');
    return userId;
  }

  /** Resolves when every later query sees what the command has done. */
  async run<K extends CommandKind>({ id: via }: ServerKey, command: CommandOf<K>): Promise<Answer<K>> {
    const { writes, reads } = this.#parts;
    let answer: Answer<K>;
    try {
      answer = await routerVia(writes.commands, via).execute<K>(command, randomUUID());
    } catch (error) {
      // The user has been erased meanwhile. The key is good.
      if (error instanceof ParleyError && error.code === 'unauthenticated') throw notFound(error.message);
      throw error;
    }
    await completeAnswer(() => reads.queries.users([], [answer.moment]));
    return answer;
  }
}
