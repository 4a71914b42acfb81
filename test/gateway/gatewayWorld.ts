import pino from 'pino';
import type { UserLimits } from '../../src/base/rateLimits.js';
import { createMemoryDevices } from '../../src/cluster/nodes.js';
import type { Moment } from '../../src/domain/commands.js';
import { requests } from '../../src/domain/contract.js';
import type { UserId } from '../../src/domain/ids.js';
import type { User } from '../../src/domain/userMessageChat.js';
import type { Handlers } from '../../src/gateway/commandRunner.js';
import type { Connection } from '../../src/gateway/connection.js';
import { type Cursor, Cursors, type FanoutProgress, Revisions } from '../../src/gateway/cursor.js';
import { createIdentify } from '../../src/gateway/identify.js';
import { Profiles } from '../../src/gateway/membersAndProfiles.js';
import { Hub, OpenConnections } from '../../src/gateway/openConnections.js';
import { Presence } from '../../src/gateway/presence.js';
import { Relations } from '../../src/gateway/relations.js';
import { createRequestAnswerer } from '../../src/gateway/webSocketServer.js';
import type { Session } from '../../src/vault/vault.js';
import { contactsOf } from '../support/facts.js';
import { FakeVault } from '../support/fakeVault.js';
import { MemoryLog } from '../support/memoryLog.js';
import { type FakeClient, FakeHost, requestText, turn } from './fakeClient.js';

const YEAR_MS = 31_536_000_000;

/** A call of a part that waits where a test says so. */
export class Gate {
  #opened: Promise<void> = Promise.resolve();
  #open = (): void => {};
  isWaitedFor = false;

  close(): void {
    this.#opened = new Promise((resolve) => (this.#open = resolve));
  }

  open(): void {
    this.#open();
  }

  async pass(): Promise<void> {
    this.isWaitedFor = true;
    await this.#opened;
    this.isWaitedFor = false;
  }
}

/** One node's gateway in memory, from the frames of its clients on: everything but HTTP, the log and its read models. */
export class GatewayWorld {
  readonly host = new FakeHost();
  readonly sessions = new FakeVault().sessions;
  readonly users = new Map<UserId, User>();
  readonly contacts = new Map<UserId, string[]>();
  /** What the log was told of presence: `ann online`, `ann offline`. */
  readonly presenceWritten: string[] = [];
  readonly replays: { readonly user: UserId; readonly since: Cursor; readonly connection: Connection }[] = [];
  /** How each request ended. */
  readonly outcomes: string[] = [];
  readonly logged: { readonly level: number; readonly incident?: string; readonly msg: string }[] = [];
  readonly gates = { session: new Gate(), profile: new Gate(), contacts: new Gate(), replay: new Gate() };
  /** Thrown by the load of contacts, and by a replay. */
  failures: { contacts?: Error; replay?: Error } = {};
  /** What a request is answered with. */
  serve: (event: string, connection: Connection, me: UserId, data: unknown) => Promise<unknown> =
    async () => ({});

  readonly log = new MemoryLog(2);
  readonly cursors = new Cursors(this.log.id, 2);
  readonly fanout: FanoutProgress & { vector: number[] } = {
    vector: [0, 0],
    reached: () => ({ promise: Promise.resolve(), cancel: () => {} }),
    noteTail: () => {},
  };
  readonly revisions: Revisions;
  readonly hub: Hub;
  readonly presence: Presence;
  readonly connections: OpenConnections;
  readonly profiles = new Profiles({
    users: async (ids) => {
      await this.gates.profile.pass();
      return new Map(ids.flatMap((id) => (this.users.has(id) ? [[id, this.#user(id)]] : [])));
    },
  });

  constructor(limits?: UserLimits) {
    const logger = pino({ level: 'debug' }, { write: (line) => void this.logged.push(JSON.parse(line)) });
    const { host, sessions } = this;
    const clock = host.time;
    const relations = new Relations('open', async (user) => {
      await this.gates.contacts.pass();
      if (this.failures.contacts) throw this.failures.contacts;
      return contactsOf(user, this.contacts.get(user) ?? []);
    });
    this.hub = new Hub(relations, { enter: () => {}, leave: () => {} }, limits);
    this.presence = new Presence({
      write: async (user, lastSeen): Promise<Moment> => {
        const size = this.presenceWritten.push(`${user} ${lastSeen ? 'offline' : 'online'}`);
        return { partition: 0, size };
      },
      ...{ devices: createMemoryDevices('here'), graceMs: 10_000, clock, logger },
    });
    this.connections = new OpenConnections({
      ...{ hub: this.hub, presence: this.presence, sessions, clock, logger },
    });
    host.now = () => this.connections.now();
    host.bucketOf = (user) => (user === undefined ? undefined : this.hub.bucketOf(user));
    this.revisions = new Revisions(this.cursors, this.log, this.fanout, clock);
    const identify = createIdentify({
      sessions: {
        find: async (token, now) => {
          const session = await sessions.find(token, now);
          await this.gates.session.pass();
          return session;
        },
      },
      users: {
        hub: this.hub,
        presence: this.presence,
        find: async (user) => (await this.profiles.load([user])).get(user),
      },
      revisions: this.revisions,
      replay: async (connection, user, since) => {
        this.replays.push({ connection, user, since });
        await this.gates.replay.pass();
        if (this.failures.replay) throw this.failures.replay;
        connection.goLive();
      },
      logger,
    });
    const handlers = Object.fromEntries(
      Object.keys(requests).map((event) => [
        event,
        (connection: Connection, me: UserId, data: unknown) => this.serve(event, connection, me, data),
      ]),
    ) as unknown as Handlers; // One for each request; the tests say what each answers.
    host.serve = createRequestAnswerer({
      identify,
      handlers,
      metrics: {
        traces: undefined,
        countCommand: (event, outcome) => void this.outcomes.push(`${event}: ${outcome}`),
      },
      logger,
    });
  }

  /** A user who can sign in, and a token of theirs. */
  async signUp(userId: UserId, lifeMs = YEAR_MS): Promise<{ token: string; session: Session }> {
    const user: User = { userId, username: userId, backgroundColor: '#000000', createdAt: '2026-01-01' };
    this.users.set(userId, user);
    return this.sessions.create(userId, this.host.time.wallNow(), lifeMs);
  }

  /** The user's profile says that they have been erased. */
  erase(userId: UserId): void {
    this.users.set(userId, { ...this.#user(userId), username: null, erased: true });
  }

  connect(bearer?: Session): { connection: Connection; client: FakeClient } {
    const connected = this.host.connect(bearer);
    this.connections.add(connected.connection);
    return connected;
  }

  /** A new connection of the user, identified and live. */
  async connectLive(token: string): Promise<{ connection: Connection; client: FakeClient }> {
    const connected = this.connect();
    connected.connection.receive(requestText('identity', { token }, 'identity'));
    await turn();
    if (!connected.connection.session) throw new Error(`not identified: ${connected.client.texts}`);
    connected.client.writes.length = 0;
    return connected;
  }

  /** Ends timers that would keep the process alive. */
  close(): void {
    this.presence.stop();
    this.profiles.close();
  }

  #user(id: UserId): User {
    const user = this.users.get(id);
    if (!user) throw new Error(`there is no ${id}`);
    return user;
  }
}
