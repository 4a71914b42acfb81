import { hash } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

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

/** Tells where requests come from, and which pages in browsers may use this server. REST and the socket both ask it. */
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

  /** The address of the client, for the log. */
  addressOf(request: IncomingMessage): string {
    return addressOf(request, this.#trustedProxies);
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

/**
 * The address of a request's client: the peer's, or behind n trusted proxies the n-th of `X-Forwarded-For` from the
 * right, as anybody can write those left of it. A text in an unknown form is returned as the proxy wrote it.
 */
function addressOf(request: IncomingMessage, trustedProxies: number): string {
  const peer = request.socket.remoteAddress ?? '';
  if (trustedProxies === 0) return plainAddress(peer);
  // Several such headers arrive joined by commas.
  const forwarded = String(request.headers['x-forwarded-for'] ?? '')
    .split(',')
    .map((address) => address.trim());
  const claimed = forwarded.at(-trustedProxies) ?? forwarded[0] ?? '';
  return plainAddress(isUnknown(claimed) ? peer : withoutPort(claimed));
}

/** RFC 7239 writes `unknown` for a client that the proxy does not want to tell. */
const isUnknown = (claimed: string): boolean => claimed === '' || claimed.toLowerCase() === 'unknown';

/** Removes quotes, brackets and a port: proxies write `1.2.3.4:5`, `[2001:db8::1]:5` and `"[2001:db8::1]"` too. */
function withoutPort(claimed: string): string {
  const [, bracketed, plain] = /^"?(?:\[([^\]]+)\](?::\d+)?|([^:"]+)(?::\d+)?)"?$/.exec(claimed) ?? [];
  if (bracketed ?? plain) return bracketed ?? plain ?? claimed;
  // IPv6 with a port and no brackets. Where it is an address as a whole too, the port changes only its last group.
  const [, address = ''] = /^"?(.+):\d+"?$/.exec(claimed) ?? [];
  return isIP(claimed) === 0 && isIP(address) === 6 ? address : claimed;
}

/** A longer name of a client is replaced by its hash. A cut one could be the name of several clients. */
const MOST_NAME_CHARACTERS = 64;
/** The addresses whose last 32 bits are an IPv4 address: IPv4-mapped ones, and those of NAT64. */
const HOLD_IPV4 = /^(?:0:0:0:0:0:ffff|64:ff9b:0:0:0:0):/;

/** The address in one form, with an IPv4 address in IPv6 as IPv4. A text in an unknown form names its client. */
function plainAddress(address: string): string {
  if (isIP(address) !== 6) {
    const text = address.toLowerCase();
    return text.length <= MOST_NAME_CHARACTERS ? text : hash('sha256', text, 'base64url');
  }
  const groups = groupsOf(address);
  const name = groups.map((group) => group.toString(16)).join(':');
  const [high = 0, low = 0] = groups.slice(6);
  return HOLD_IPV4.test(name) ? [high >> 8, high & 255, low >> 8, low & 255].join('.') : name;
}

/** The network that a request counts against: an IPv6 address counts as its /64, which one subscriber has. */
export function networkOf(request: IncomingMessage, trustedProxies: number): string {
  const address = addressOf(request, trustedProxies);
  return isIP(address) === 6 ? address.split(':', 4).join(':') : address;
}

/** The eight groups of a valid IPv6 address. */
function groupsOf(address: string): number[] {
  const [plain = ''] = address.split('%');
  const hex = plain.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...bytes: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [head, tail] = hex
    .split('::')
    .map((part) => part.split(':').filter((group) => group !== ''))
    .map((part) => part.map((group) => Number.parseInt(group, 16)));
  const given = [...(head ?? []), ...(tail ?? [])];
  return [...(head ?? []), ...Array<number>(8 - given.length).fill(0), ...(tail ?? [])];
}
