import type { IncomingHttpHeaders } from 'node:http';

/**
 * Brings an origin to the one form in which origins are compared: lower case, without the default port of its scheme.
 * Returns undefined for a text that is no origin, such as `null` or a URL with a path.
 */
export function normalizeOrigin(text: string): string | undefined {
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/?#@\\\s]+$/i.test(text) || !URL.canParse(text)) return undefined;
  const { protocol, host } = new URL(text);
  // The parser changes the case of a host only for the schemes that it knows.
  return host === '' ? undefined : `${protocol}//${host.toLowerCase()}`;
}

/** The headers that tell which page asks, and under which address it reached the server. */
type OriginHeaders = Pick<IncomingHttpHeaders, 'origin' | 'host'> & {
  readonly 'x-forwarded-proto'?: string | string[] | undefined;
};

/** The settings that decide which pages are allowed. */
export interface OriginSettings {
  /** Normalized. They are allowed beside the page's own host. */
  readonly ALLOWED_ORIGINS?: readonly string[] | undefined;
  /** The number of proxies whose `X-Forwarded-Proto` counts. */
  readonly TRUST_PROXY: number;
}

/** The pages in browsers that may use this server. REST and the socket both ask it. */
export class Origins {
  readonly #added: ReadonlySet<string>;
  readonly #trustedProxies: number;

  constructor({ ALLOWED_ORIGINS, TRUST_PROXY }: OriginSettings) {
    this.#added = new Set(ALLOWED_ORIGINS);
    this.#trustedProxies = TRUST_PROXY;
  }

  /** Returns true if the page may use this server. Clients that are no browsers send no `Origin`, and may. */
  isAllowed(headers: OriginHeaders): boolean {
    if (headers.origin === undefined) return true;
    const origin = normalizeOrigin(headers.origin);
    if (origin === undefined) return false;
    return this.#added.has(origin) || this.#own(headers).includes(origin);
  }

  /**
   * The origins of this server's own pages. A server cannot see whether a proxy in front ends TLS. So without a trusted
   * `X-Forwarded-Proto`, both schemes of the web are its own. Who controls a host controls its pages of either scheme.
   */
  #own(headers: OriginHeaders): (string | undefined)[] {
    const scheme = this.#forwardedScheme(headers['x-forwarded-proto']);
    const schemes = scheme === undefined ? ['http', 'https'] : [scheme];
    return headers.host === undefined
      ? []
      : schemes.map((each) => normalizeOrigin(`${each}://${headers.host}`));
  }

  /** Counts from the right, as anybody can write the entries left of those of trusted proxies. */
  #forwardedScheme(header: string | string[] | undefined): string | undefined {
    if (this.#trustedProxies === 0 || header === undefined) return undefined;
    const schemes = String(header)
      .split(',')
      .map((scheme) => scheme.trim().toLowerCase());
    const scheme = schemes.at(-this.#trustedProxies) ?? schemes[0];
    if (scheme === 'https' || scheme === 'wss') return 'https';
    return scheme === 'http' || scheme === 'ws' ? 'http' : undefined;
  }
}
