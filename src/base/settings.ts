import { z } from 'zod';
import { normalizeOrigin } from './origins.js';

/** An invalid setting. `message` is one line that names it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const duration = z.string().transform((text, ctx) => {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  // The pattern admits only the keys of `UNIT_MS`.
  if (match) return Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS];
  ctx.addIssue({ code: 'custom', message: 'must be a number with a unit (ms, s, m, h or d), such as 10s' });
  return z.NEVER;
});

const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((n) => n >= min && n <= max, `must be a whole number from ${min} to ${max}`);

const rateLimit = z.string().transform((text, ctx): { rate: number; burst: number } | 'off' => {
  if (text === 'off') return 'off';
  const match = /^(\d+):(\d+)$/.exec(text);
  if (match && Number(match[1]) > 0 && Number(match[2]) > 0)
    return { rate: Number(match[1]), burst: Number(match[2]) };
  ctx.addIssue({ code: 'custom', message: 'must be <rate>:<burst>, such as 50:200, or off' });
  return z.NEVER;
});

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

const nats = z.string().transform((text, ctx) => {
  const servers = parseNatsServers(text);
  if (servers) return servers;
  ctx.addIssue({ code: 'custom', message: 'must be nats:// or tls:// URLs, separated by commas' });
  return z.NEVER;
});

const Settings = z.object({
  PORT: wholeNumber(0, 65_535).default(3000),
  HOST: z.string().min(1).default('127.0.0.1'),
  DATA_DIR: z.string().min(1).default('./data'),
  MASTER_KEY: masterKey.optional(),
  MONGO_URL: z
    .string()
    .regex(/^mongodb(\+srv)?:\/\//, 'must begin with mongodb:// or mongodb+srv://')
    .optional(),
  NATS_URL: nats.optional(),
  PARTITIONS: wholeNumber(1, 64).optional(),
  ALLOWED_ORIGINS: origins.optional(),
  TRUST_PROXY: wholeNumber(0, 32).default(0),
  BCRYPT_COST: wholeNumber(4, 15).default(12),
  SESSION_TTL: duration.default(30 * UNIT_MS.d),
  RATE_LIMIT: rateLimit.default({ rate: 50, burst: 200 }),
  AUTH_RATE_LIMIT: rateLimit.default({ rate: 10, burst: 20 }),
  PRESENCE_GRACE: duration.default(10 * UNIT_MS.s),
  LOG_ORIGIN: z
    .string()
    .regex(/^[^\s+]{1,128}$/, 'must have 1 to 128 characters, without white space and +')
    .default('parley'),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
});

/**
 * The settings. Durations are in milliseconds. Rates are per second, that of `AUTH_RATE_LIMIT` per minute.
 */
export type Config = z.infer<typeof Settings>;

/** Reads the settings from the environment. An empty variable counts as unset. Throws `ConfigError`. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const given = Object.fromEntries(
    Object.keys(Settings.shape).flatMap((name) => (env[name] ? [[name, env[name]]] : [])),
  );
  const parsed = Settings.safeParse(given);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new ConfigError(`${issue?.path.join('.')}: ${issue?.message}`, { cause: parsed.error });
  }
  const config = parsed.data;
  if (config.NATS_URL && config.MONGO_URL === undefined)
    throw new ConfigError('NATS_URL: set MONGO_URL too, as several nodes need one shared log');
  return config;
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
  if (hostname === '' || `${pathname}${search}${hash}`.replace(/^\//, '') !== '') return undefined;
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
