import { z } from 'zod';
import { Egress, parseCidr } from './egress.js';
import { normalizeOrigin } from './origins.js';
import { fieldErrors } from './schemaErrors.js';
import { isSigningSecret } from './webhooks.js';

/** An invalid setting. `message` is one line that names it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  // The pattern admits only the keys of `UNIT_MS`.
  return match ? Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS] : undefined;
}

/** A duration from `min` to `max`, which are written as in a setting. */
export const duration = (min: string, max: string) =>
  z.string().transform((text, ctx) => {
    const ms = parseDuration(text);
    if (ms !== undefined && ms >= (parseDuration(min) ?? 0) && ms <= (parseDuration(max) ?? 0)) return ms;
    ctx.addIssue({
      code: 'custom',
      message: `must be a number with a unit (ms, s, m, h or d), from ${min} to ${max}`,
    });
    return z.NEVER;
  });

/** A time for which something is possible: `0s` for never, `any` without end. */
const windowOf = (max: string) =>
  z.string().transform((text, ctx) => {
    const ms = text === 'any' ? Number.POSITIVE_INFINITY : parseDuration(text);
    if (ms !== undefined && (ms <= (parseDuration(max) ?? 0) || text === 'any')) return ms;
    ctx.addIssue({
      code: 'custom',
      message: `must be a number with a unit (ms, s, m, h or d), from 0s to ${max}, or any`,
    });
    return z.NEVER;
  });

const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((n) => n >= min && n <= max, `must be a whole number from ${min} to ${max}`);

/** A share of all, from 0 to 1. */
const share = z
  .string()
  .regex(/^\d+(?:\.\d+)?$/, 'must be a number from 0 to 1')
  .transform(Number)
  .refine((n) => n <= 1, 'must be a number from 0 to 1');

const httpUrl = z
  .string()
  .refine((text) => /^https?:\/\//.test(text) && URL.canParse(text), 'must be an http:// or https:// URL');

/** A bucket of this size is full again within two years at the lowest rate, so that its time is a date. */
const MAX_RATE = 1_000_000;

const rateLimit = z.string().transform((text, ctx): { rate: number; burst: number } | 'off' => {
  if (text === 'off') return 'off';
  const [, rate, burst] = (/^(\d+):(\d+)$/.exec(text) ?? []).map(Number);
  const isInRange = (n: number | undefined): n is number => n !== undefined && n >= 1 && n <= MAX_RATE;
  if (isInRange(rate) && isInRange(burst)) return { rate, burst };
  ctx.addIssue({
    code: 'custom',
    message: `must be <rate>:<burst>, such as 50:200 and each from 1 to ${MAX_RATE}, or off`,
  });
  return z.NEVER;
});

/** The longest name of a database is 63 bytes, and the vault's is this one with `_vault`. */
const MAX_DATABASE_BYTES = 57;
/** MongoDB's own databases. Without a name, the driver takes `test`. */
const SYSTEM_DATABASES: ReadonlySet<string> = new Set(['admin', 'local', 'config']);

const mongo = z.string().transform((text, ctx) => {
  const refuse = (message: string) => {
    ctx.addIssue({ code: 'custom', message });
    return z.NEVER;
  };
  const [, path] = /^mongodb(?:\+srv)?:\/\/[^/?]+(?:\/([^?]*))?/.exec(text) ?? [];
  if (!/^mongodb(\+srv)?:\/\//.test(text)) return refuse('must begin with mongodb:// or mongodb+srv://');
  const name = decodeName(path ?? '');
  const isName = /^[^/\\. "$]+$/.test(name) && !name.includes('\0');
  if (isName && Buffer.byteLength(name) <= MAX_DATABASE_BYTES && !SYSTEM_DATABASES.has(name)) return text;
  return refuse(
    `must name a database of its own in 1 to ${MAX_DATABASE_BYTES} bytes, as in mongodb://127.0.0.1:27017/parley`,
  );
});

function decodeName(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return ''; // The escaped bytes are not UTF-8.
  }
}

const masterKey = z.string().transform((text, ctx) => {
  const key = Buffer.from(text, 'base64');
  if (key.length === 32 && key.toString('base64') === text) return key;
  ctx.addIssue({
    code: 'custom',
    message: 'must be 32 bytes in base64, as `openssl rand -base64 32` makes them',
  });
  return z.NEVER;
});

const origins = z.string().transform((text, ctx) => {
  const given = text.split(',');
  const valid = given
    .map((origin) => normalizeOrigin(origin.trim()))
    .filter((origin) => origin !== undefined);
  if (valid.length === given.length) return valid;
  ctx.addIssue({
    code: 'custom',
    message: 'must be origins such as https://chat.example.org or capacitor://localhost, separated by commas',
  });
  return z.NEVER;
});

const blocks = z.string().transform((text, ctx) => {
  const given = text.split(',');
  const valid = given.map((block) => parseCidr(block.trim())).filter((block) => block !== undefined);
  if (valid.length === given.length) return valid;
  ctx.addIssue({
    code: 'custom',
    message: 'must be blocks of addresses such as 10.0.0.0/8 or fd00::/8, separated by commas',
  });
  return z.NEVER;
});

const nats = z.string().transform((text, ctx) => {
  const servers = parseNatsServers(text);
  if (servers) return servers;
  ctx.addIssue({ code: 'custom', message: 'must be nats:// or tls:// URLs, separated by commas' });
  return z.NEVER;
});

const signingSecret = z
  .string()
  .refine(
    isSigningSecret,
    'must be whsec_ and 24 to 64 bytes in base64, as `openssl rand -base64 32` makes them',
  );

const HOOK_FAILURES = ['closed', 'open'] as const;
const CONTACT_RULES = ['open', 'consent'] as const;
/** Who makes users: everybody, or only the host application, operators and issuers; `external`: no passwords at all. */
const SIGN_UPS = ['open', 'closed', 'external'] as const;
const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
const FORMATS = ['json', 'pretty'] as const;

const Settings = z.object({
  PORT: wholeNumber(0, 65_535).default(3000),
  HOST: z.string().min(1).default('127.0.0.1'),
  METRICS_PORT: wholeNumber(0, 65_535).optional(),
  DATA_DIR: z.string().min(1).default('./data'),
  MASTER_KEY: masterKey.optional(),
  MONGO_URL: mongo.optional(),
  NATS_URL: nats.optional(),
  PARTITIONS: wholeNumber(1, 64).optional(),
  ALLOWED_ORIGINS: origins.optional(),
  OIDC_ISSUER: httpUrl.optional(),
  OIDC_AUDIENCE: z.string().min(1).max(255).optional(),
  OIDC_CLIENT_ID: z.string().min(1).max(255).optional(),
  SIGN_UP: z.enum(SIGN_UPS, `must be one of ${SIGN_UPS.join(', ')}`).default('open'),
  EGRESS_ALLOW: blocks.optional(),
  TRUST_PROXY: wholeNumber(0, 32).default(0),
  BCRYPT_COST: wholeNumber(4, 15).default(12),
  SESSION_TTL: duration('1s', '3650d').default(30 * UNIT_MS.d),
  RATE_LIMIT: rateLimit.default({ rate: 50, burst: 200 }),
  AUTH_RATE_LIMIT: rateLimit.default({ rate: 10, burst: 20 }),
  EDIT_WINDOW: windowOf('3650d').default(UNIT_MS.d),
  DELETE_WINDOW: windowOf('3650d').default(UNIT_MS.d),
  GROUP_SIZE: wholeNumber(2, 1000).default(256),
  PRESENCE_GRACE: duration('0s', '30d').default(10 * UNIT_MS.s),
  CONTACTS: z.enum(CONTACT_RULES, `must be one of ${CONTACT_RULES.join(', ')}`).default('open'),
  HOOK_SEND: httpUrl.optional(),
  HOOK_SECRET: signingSecret.optional(),
  HOOK_SEND_FAIL: z.enum(HOOK_FAILURES, `must be one of ${HOOK_FAILURES.join(', ')}`).default('closed'),
  LOG_ORIGIN: z
    .string()
    .regex(/^[^\s+]{1,128}$/, 'must have 1 to 128 characters, without white space and +')
    .default('parley'),
  LOG_LEVEL: z.enum(LEVELS, `must be one of ${LEVELS.join(', ')}`).default('info'),
  OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl.optional(),
  OTEL_TRACES_SAMPLER_ARG: share.default(1),
  LOG_FORMAT: z.enum(FORMATS, `must be one of ${FORMATS.join(', ')}`).default('json'),
});

/**
 * The settings. Durations are in milliseconds. Rates are per second, that of `AUTH_RATE_LIMIT` per minute.
 */
export type Config = z.infer<typeof Settings>;

/** The settings that decisions follow. */
export const limitsIn = ({ GROUP_SIZE, EDIT_WINDOW, DELETE_WINDOW, CONTACTS }: Config) => ({
  groupSize: GROUP_SIZE,
  editWindowMs: EDIT_WINDOW,
  deleteWindowMs: DELETE_WINDOW,
  contactRule: CONTACTS,
});

/** Reads the settings from the environment. An empty variable counts as unset. Throws `ConfigError`. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const given = Object.fromEntries(
    Object.keys(Settings.shape).flatMap((name) => (env[name] ? [[name, env[name]]] : [])),
  );
  const parsed = Settings.safeParse(given);
  if (!parsed.success) {
    const [wrong] = fieldErrors(parsed.error);
    throw new ConfigError(`${wrong?.path}: ${wrong?.message}`, { cause: parsed.error });
  }
  const config = parsed.data;
  if (config.NATS_URL && config.MONGO_URL === undefined)
    throw new ConfigError('NATS_URL: set MONGO_URL too, as several nodes need one shared log');
  if (config.HOOK_SEND !== undefined && config.HOOK_SECRET === undefined)
    throw new ConfigError('HOOK_SEND: set HOOK_SECRET too, which signs what is asked');
  if (config.METRICS_PORT === config.PORT && config.PORT !== 0)
    throw new ConfigError(`METRICS_PORT: must be another port than PORT, which is ${config.PORT}`);
  checkIssuer(config);
  return config;
}

/** Throws `ConfigError` unless the settings of the issuer fit together. */
function checkIssuer({ OIDC_ISSUER: issuer, OIDC_AUDIENCE, OIDC_CLIENT_ID, EGRESS_ALLOW }: Config): void {
  if (issuer !== undefined && OIDC_AUDIENCE === undefined)
    throw new ConfigError('OIDC_AUDIENCE: set it too, as OIDC_ISSUER is set');
  if (issuer === undefined && OIDC_AUDIENCE !== undefined)
    throw new ConfigError('OIDC_ISSUER: set it too, as OIDC_AUDIENCE is set');
  if (issuer === undefined && OIDC_CLIENT_ID !== undefined)
    throw new ConfigError('OIDC_ISSUER: set it too, as OIDC_CLIENT_ID is set');
  const fault = issuer === undefined ? undefined : new Egress(EGRESS_ALLOW).findFault(issuer);
  if (fault !== undefined) throw new ConfigError(`OIDC_ISSUER: ${fault}`);
}

/** A NATS server, parsed from its URL. */
export interface NatsServer {
  readonly host: string;
  readonly port: number;
  /** True for `tls://`: only an encrypted connection is accepted. With `nats://` the server decides. */
  readonly tls: boolean;
  /** `nats://token@host` or `nats://user:password@host`, with reserved characters percent-encoded. */
  readonly credentials:
    | { readonly token: string }
    | { readonly user: string; readonly pass: string }
    | undefined;
}

const DEFAULT_NATS_PORT = 4222;

/**
 * Parses a comma-separated list of `nats://` and `tls://` URLs. Returns undefined if any of them is invalid.
 */
export function parseNatsServers(list: string): readonly NatsServer[] | undefined {
  const servers = list.split(',').map((url) => parseNatsServer(url.trim()));
  const valid = servers.filter((server) => server !== undefined);
  return valid.length === servers.length ? valid : undefined;
}

function parseNatsServer(text: string): NatsServer | undefined {
  if (!/^(nats|tls):\/\//.test(text) || !URL.canParse(text)) return undefined;
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(text);
  if (hostname === '' || port === '0' || `${pathname}${search}${hash}`.replace(/^\//, '') !== '')
    return undefined;
  try {
    const [user, pass] = [decodeURIComponent(username), decodeURIComponent(password)];
    return {
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: port === '' ? DEFAULT_NATS_PORT : Number(port),
      tls: protocol === 'tls:',
      credentials: user === '' ? undefined : pass === '' ? { token: user } : { user, pass },
    };
  } catch {
    return undefined; // The escaped bytes are not UTF-8.
  }
}
