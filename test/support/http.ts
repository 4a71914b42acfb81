import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import type { AuditReader } from '../../src/audit/auditReader.js';
import type { Proofs } from '../../src/audit/proof/proofs.js';
import type { ParleyError } from '../../src/base/errors.js';
import { Metrics } from '../../src/base/metrics.js';
import { Origins } from '../../src/base/origins.js';
import type { AttemptLimit } from '../../src/base/rateLimits.js';
import type { CommandRouter } from '../../src/domain/commands.js';
import type { Moderation } from '../../src/erasure/reportDecisions.js';
import type { KeyAdministration } from '../../src/host/keyAdministration.js';
import type { SignUpRule } from '../../src/http/accounts.js';
import { UserAdministration } from '../../src/http/administration.js';
import { createApp, createHttpServer, type HttpParts } from '../../src/http/app.js';
import type { Readiness } from '../../src/http/operations.js';
import type { ServerParts } from '../../src/http/server/hostRequests.js';
import type { SubscriptionResources } from '../../src/http/server/subscriptionResources.js';
import type { Queries } from '../../src/projections/queries.js';
import type { Passwords, Vault } from '../../src/vault/vault.js';
import { FakeCore } from './fakeCore.js';
import { FakePasswords, FakeVault } from './fakeVault.js';

/** A server to talk to over real sockets. There is no limit on sign-ins unless the test says otherwise. */
export interface HttpTarget {
  readonly url: string;
  /** What REST cannot ask for; every later request sees it. */
  addFriend(me: SignedIn, friendId: string): Promise<void>;
  /** The same; resolves with the room's id. */
  initChat(me: SignedIn, friendId: string): Promise<string>;
  close(): Promise<void>;
}

export interface SignedIn {
  readonly userId: string;
  readonly token: string;
}

export interface FakeTarget extends HttpTarget {
  readonly vault: FakeVault;
  readonly passwords: FakePasswords;
  /** What was logged, a JSON object each. */
  readonly logged: Record<string, unknown>[];
}

const none = async (): Promise<never> => {
  throw new Error('there is no log');
};

/** The parts that tests put others in the place of. */
export interface FakeParts {
  readonly vault: Vault;
  readonly passwords: Passwords;
  readonly commands: CommandRouter;
  readonly queries: Queries;
  readonly attemptLimit: AttemptLimit | undefined;
  readonly trustedProxies: number;
  /** In the form that `normalizeOrigin` gives. */
  readonly allowedOrigins: readonly string[];
  readonly ready: () => Promise<Readiness>;
  readonly checkRequest: (userId: string) => ParleyError | undefined;
  readonly signUp: SignUpRule;
}

/** The HTTP side alone, over fakes; `replace` puts other parts in their place. */
export async function startHttp(
  replace: (parts: FakeParts) => Partial<FakeParts> = () => ({}),
): Promise<FakeTarget> {
  const core = new FakeCore();
  const vault = new FakeVault();
  const passwords = new FakePasswords();
  const logged: Record<string, unknown>[] = [];
  const fakes: FakeParts = {
    vault,
    passwords,
    commands: core.commands,
    // Only these are asked for over HTTP.
    queries: core.queries as Queries,
    attemptLimit: undefined,
    trustedProxies: 0,
    allowedOrigins: [],
    ready: async () => ({ ok: true }),
    checkRequest: () => undefined,
    signUp: 'open',
  };
  const log = pino({ level: 'trace' }, { write: (line: string) => logged.push(JSON.parse(line)) });
  const replaced = { ...fakes, ...replace(fakes) };
  const { allowedOrigins, trustedProxies } = replaced;
  const origins = new Origins({ ALLOWED_ORIGINS: allowedOrigins, TRUST_PROXY: trustedProxies });
  const app = createApp(httpParts(replaced, core), origins, log);
  const server = createHttpServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // It listens on TCP.
  return {
    url: `http://127.0.0.1:${port}`,
    async addFriend({ userId: actor }, friendId) {
      await core.commands.execute<'add friend'>({ kind: 'add friend', actor, friendId }, randomUUID());
    },
    async initChat({ userId: actor }, friendId) {
      const command = { kind: 'init chat', actor, friendId } as const;
      return (await core.commands.execute<'init chat'>(command, randomUUID())).roomId;
    },
    vault,
    passwords,
    logged,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function httpParts(fakes: FakeParts, core: FakeCore): HttpParts {
  const { vault, passwords, commands, queries, attemptLimit, trustedProxies, ready } = fakes;
  return {
    accounts: {
      ...{ vault, passwords, commands, queries },
      sessionRules: {
        ...{ lifetimeMs: 60_000, announceEnds: async () => {}, signUp: fakes.signUp },
        present: (userId) => queries.self(userId, []),
      },
      limits: { attemptLimit, trustedProxies, checkRequest: fakes.checkRequest },
    },
    users: {
      queries,
      revisions: {
        parse: core.parseRevision,
        present: async () => [],
        revision: ({ size }) => String(size),
      },
      erase: async () => {},
      administration: new UserAdministration({
        ...{ vault, commands, queries },
        announceEnds: async () => {},
        erase: async () => {},
      }),
      reports: { async *of() {} },
      async *historyOf() {},
    },
    audit: {
      hasRole: async () => false,
      commands,
      // There is no auditor and no moderator, so that nobody gets as far as these.
      moderation: {} as Moderation,
      reader: {} as AuditReader,
      log: { heads: { keys: none, advance: none }, proofs: {} as Proofs, partitions: 0 },
    },
    operations: {
      ready,
      metrics: new Metrics(),
      isMetricsPublic: true,
      storage: async () => {
        throw new Error('this target has no storage');
      },
    },
    // No key is valid, so that nothing behind it is asked for.
    host: {
      server: { keys: { find: async () => undefined }, reads: {}, writes: {} } as unknown as ServerParts,
      events: {} as SubscriptionResources,
      keys: {} as KeyAdministration,
      issuer: undefined,
    },
  };
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The JSON body; undefined without one. Tests look into it freely. */
  // biome-ignore lint/suspicious/noExplicitAny: a test's assertions are its types
  readonly body: any;
}

export interface Ask {
  readonly token?: string | undefined;
  readonly json?: unknown;
  readonly raw?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Record<string, string>;
}

/** One request: `ask(url, 'POST /user/', {json})`. */
export async function ask(
  url: string,
  what: string,
  { token, json, raw, headers }: Ask = {},
): Promise<Reply> {
  const [method = '', path = ''] = what.split(' ');
  const body = raw ?? (json === undefined ? undefined : JSON.stringify(json));
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  const isJson = /\bjson\b/.test(response.headers.get('content-type') ?? '');
  const parsed = isJson && text !== '' ? JSON.parse(text) : undefined;
  return { status: response.status, headers: response.headers, text, body: parsed };
}
