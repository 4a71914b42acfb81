import type { Logger } from 'pino';
import { RunningTime } from '../base/clock.js';
import type { ParleyError } from '../base/errors.js';
import { checkRequest, MAX_USER_CONNECTIONS, type TokenBucket, type UserLimits } from '../base/rateLimits.js';
import type { Tie } from '../domain/defineEvent.js';
import type { Recorded } from '../domain/events.js';
import type { UserId } from '../domain/ids.js';
import { hiddenPush } from '../domain/onlineStatus.js';
import type { RevocationCause, Session, SessionStore } from '../vault/vault.js';
import type { Connection } from './connection.js';
import type { GatewayClock, Presence } from './presence.js';
import { closeCauses, pushText } from './protocol.js';
import type { Relations } from './relations.js';

/** How often each connection is checked: one timer for all. */
const CHECK_EVERY_MS = 500;
/** At a stop, requests that have begun are waited for this long. */
const STOP_ANSWERS_MS = 5000;
/** At a stop, clients have this long to answer the close frame. */
const STOP_CLOSE_MS = 2000;
const STOP_LOOK_MS = 10;

interface ConnectedUser {
  readonly connections: Connection[];
  /** Settles when the user's relations are known. Undefined: they are. */
  loading: Promise<void> | undefined;
  /** Of the requests of all these connections: made by the first request. */
  bucket: TokenBucket | undefined;
}

const none: readonly Connection[] = [];

/** Keeps recent pushes for users who are connected. */
export interface Hosting {
  /** The user's first connection has come: called before their relations are read. Resolves when it is ready. */
  enter(user: UserId): Promise<void> | void;
  /** The user's last connection has gone. */
  leave(user: UserId): void;
}

/** Knows the connections of each user on this node. */
export class Hub {
  /** What the connected users are to others. */
  readonly relations: Relations;
  readonly #hosting: Hosting;
  readonly #limits: UserLimits | undefined;
  readonly #users = new Map<UserId, ConnectedUser>();

  /** Without `limits`, users have any number of connections and requests. */
  constructor(relations: Relations, hosting: Hosting, limits?: UserLimits) {
    this.relations = relations;
    this.#hosting = hosting;
    this.#limits = limits;
  }

  /** Users with at least one connection here. */
  get userCount(): number {
    return this.#users.size;
  }

  /** Whether the user may have one connection more. */
  hasRoomFor(user: UserId): boolean {
    return this.#limits === undefined || this.connectionsOf(user).length < MAX_USER_CONNECTIONS;
  }

  /** Limits the requests of a user, connected or not; undefined: no limit. */
  bucketOf(user: UserId): TokenBucket | undefined {
    const connected = this.#users.get(user);
    const bucket = connected?.bucket ?? this.#limits?.bucketOf(user);
    if (connected) connected.bucket = bucket;
    else if (bucket) this.#limits?.keep(user, bucket);
    return bucket;
  }

  /** Adds a connection. Resolves when the user's relations are loaded; if that fails, rejects and adds nothing. */
  async enter(user: UserId, connection: Connection): Promise<void> {
    let connected = this.#users.get(user);
    if (connected) connected.connections.push(connection);
    else {
      // Not pushed to an empty array, for which V8 would reserve 17 places.
      connected = { connections: [connection], loading: undefined, bucket: undefined };
      this.#users.set(user, connected);
      const ready = this.#hosting.enter(user);
      const known = this.relations.add(user);
      connected.loading = ready ? Promise.all([known, ready]).then(() => undefined) : known;
    }
    try {
      await connected.loading;
      connected.loading = undefined;
    } catch (error) {
      this.leave(user, connection);
      throw error;
    }
  }

  leave(user: UserId, connection: Connection): void {
    const connected = this.#users.get(user);
    const index = connected?.connections.indexOf(connection) ?? -1;
    if (!connected || index < 0) return;
    connected.connections.splice(index, 1);
    if (connected.connections.length > 0) return;
    this.#users.delete(user);
    if (connected.bucket) this.#limits?.keep(user, connected.bucket);
    this.#hosting.leave(user);
    this.relations.remove(user);
  }

  /**
   * Two users have become something else to each other. After a block each looks offline to the other, as somebody who
   * hides their presence does: the blocked user is not told why.
   */
  applyTie(tie: Tie): void {
    for (const user of this.relations.apply(tie)) {
      const { name, data } = hiddenPush(user === tie.by ? tie.other : tie.by);
      for (const connection of this.connectionsOf(user))
        if (connection.session) connection.sendText(pushText(name, JSON.stringify(data)));
    }
  }

  connectionsOf(user: UserId): readonly Connection[] {
    return this.#users.get(user)?.connections ?? none;
  }

  /**
   * Closes the connections of a user who is suspended, and says so. Their sessions end by the vault, which does not say
   * why. A later session than the suspension is of a user who was restored.
   */
  closeSuspended({ data: { userId }, recordedAt }: Recorded<'UserSuspended'>): void {
    for (const connection of [...this.connectionsOf(userId)])
      if (connection.session && connection.session.createdAt <= recordedAt)
        connection.close(closeCauses.suspended);
  }
}

export interface OpenConnectionsDeps {
  readonly hub: Hub;
  readonly presence: Presence;
  readonly sessions: Pick<SessionStore, 'onRevoked' | 'findById'>;
  readonly clock: GatewayClock;
  readonly logger: Logger;
}

/** Holds all connections of this node, identified or not: checks them, and closes them when their session ends. */
export class OpenConnections {
  readonly #deps: OpenConnectionsDeps;
  readonly #connections = new Set<Connection>();
  readonly #running: RunningTime;
  /** Connections whose session the vault is being asked for. */
  readonly #asking = new Set<Connection>();
  readonly #unsubscribe: () => void;
  #cancelTimer = (): void => {};
  #turnover = 0;
  #isStopping = false;

  constructor(deps: OpenConnectionsDeps) {
    this.#deps = deps;
    this.#running = new RunningTime(deps.clock, CHECK_EVERY_MS);
    this.#unsubscribe = deps.sessions.onRevoked((id, why) => this.#endSession(id, why));
    this.#checkLater();
  }

  /** How many connections have opened or closed since the start. */
  get turnover(): number {
    return this.#turnover;
  }

  get count(): number {
    return this.#connections.size;
  }

  /** Output that clients have not yet taken. */
  get waitingBytes(): number {
    let bytes = 0;
    for (const connection of this.#connections) bytes += connection.waitingBytes;
    return bytes;
  }

  /** After `stop` was called no connection is to be added. */
  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** Milliseconds in which this process ran. */
  now(): number {
    return this.#running.now();
  }

  /** See `Hub.bucketOf`. */
  bucketOf(user: UserId): TokenBucket | undefined {
    return this.#deps.hub.bucketOf(user);
  }

  /** Takes a token for a request of the user that comes by another way than a socket. */
  checkRequest(user: UserId): ParleyError | undefined {
    const bucket = this.bucketOf(user);
    return bucket && checkRequest(bucket, this.now());
  }

  /** When a session's life is over: monotonic milliseconds. */
  endOf({ expiresAt }: Session): number {
    const { clock } = this.#deps;
    return clock.now() + Date.parse(expiresAt) - clock.wallNow().getTime();
  }

  add(connection: Connection): void {
    this.#turnover++;
    this.#connections.add(connection);
  }

  /** The connection's socket is gone. */
  remove(connection: Connection): void {
    connection.handleClose();
    this.#connections.delete(connection);
    this.#turnover++;
    const { bearer } = connection;
    if (!bearer) return;
    this.#deps.hub.leave(bearer.userId, connection);
    this.#deps.presence.loseConnection(bearer.userId, connection, bearer.id);
  }

  /** Begins no more requests, waits until those begun are answered (5 s at most), and closes all with 1012. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#unsubscribe();
    for (const connection of this.#connections) connection.peer.pause();
    await this.#waitUntil(STOP_ANSWERS_MS, () =>
      [...this.#connections].every(({ openRequests }) => openRequests === 0),
    );
    for (const connection of this.#connections) connection.close(closeCauses.serverRestarts);
    await this.#waitUntil(STOP_CLOSE_MS, () => this.#connections.size === 0);
    for (const connection of this.#connections) connection.peer.terminate();
    this.#cancelTimer();
  }

  #endSession(id: string, why?: RevocationCause): void {
    const { presence } = this.#deps;
    for (const connection of this.#connections) {
      if (connection.bearer?.id !== id) continue;
      presence.signOut(connection.bearer.userId, connection);
      connection.close(why === 'password_changed' ? closeCauses.passwordChanged : closeCauses.signedOut);
    }
    presence.endSession(id);
  }

  #checkLater(): void {
    const { clock } = this.#deps;
    this.#cancelTimer = clock.setTimer(() => {
      const hasStalled = this.#running.tick();
      for (const connection of this.#connections)
        if (hasStalled) connection.handleStall();
        else this.#check(connection);
      this.#checkLater();
    }, CHECK_EVERY_MS);
  }

  #check(connection: Connection): void {
    const { session } = connection;
    // A step of the wall clock ends no session: its life must be over on the monotonic clock too.
    if (
      session &&
      this.#deps.clock.now() >= connection.sessionEndsAt &&
      this.#deps.clock.wallNow() >= new Date(session.expiresAt)
    )
      void this.#endExpired(connection, session);
    connection.check();
  }

  /** Asks the vault before it closes a connection whose session has expired: nobody is cut off whose token is good. */
  async #endExpired(connection: Connection, { id }: Session): Promise<void> {
    if (this.#asking.has(connection)) return;
    this.#asking.add(connection);
    const { sessions, clock, logger } = this.#deps;
    try {
      const session = await sessions.findById(id, clock.wallNow());
      if (session) connection.renewSession(session);
      else connection.close(closeCauses.sessionExpired);
    } catch (error) {
      logger.warn({ err: error }, 'an expired session could not be looked up; trying again');
    } finally {
      this.#asking.delete(connection);
    }
  }

  async #waitUntil(ms: number, isDone: () => boolean): Promise<void> {
    const { clock } = this.#deps;
    for (const end = clock.now() + ms; !isDone() && clock.now() < end; )
      await new Promise<void>((resolve) => {
        clock.setTimer(resolve, STOP_LOOK_MS);
      });
  }
}
