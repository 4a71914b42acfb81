/** A NATS server as a URL names it. */
export interface NatsServer {
  readonly host: string;
  readonly port: number;
  /** `tls://`: nothing is said in the clear. With `nats://` it is the server that decides. */
  readonly tls: boolean;
  /** `nats://token@host` or `nats://user:password@host`, percent-encoded where a URL asks for it. */
  readonly credentials:
    | { readonly token: string }
    | { readonly user: string; readonly pass: string }
    | undefined;
}

const DEFAULT_PORT = 4222;

/** The servers of a comma-separated list of `nats://` and `tls://` URLs; undefined if one of them is not such a URL. */
export function natsServers(list: string): readonly NatsServer[] | undefined {
  const servers = list.split(',').map((url) => natsServer(url.trim()));
  const valid = servers.filter((server) => server !== undefined);
  return valid.length === servers.length ? valid : undefined;
}

function natsServer(text: string): NatsServer | undefined {
  if (!/^(nats|tls):\/\//.test(text) || !URL.canParse(text)) return undefined;
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(text);
  if (hostname === '' || `${pathname}${search}${hash}`.replace(/^\//, '') !== '') return undefined;
  try {
    const [user, pass] = [decodeURIComponent(username), decodeURIComponent(password)];
    return {
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: port === '' ? DEFAULT_PORT : Number(port),
      tls: protocol === 'tls:',
      credentials: user === '' ? undefined : pass === '' ? { token: user } : { user, pass },
    };
  } catch {
    return undefined; // What is escaped is no UTF-8.
  }
}
