import { lookup as lookUpName } from 'node:dns/promises';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { messageOf } from './errors.js';

/**
 * Requests that this server makes to addresses that others have named: an issuer, a receiver, a hook. An address is
 * checked after its name is resolved, and the connection goes to the very address that was checked.
 */

/** A block of addresses, such as 10.0.0.0/8. */
export interface Cidr {
  readonly address: string;
  readonly prefix: number;
}

/** Parses `<address>/<length>`. Undefined: it is none. */
export function parseCidr(text: string): Cidr | undefined {
  const [, address = '', length = ''] = /^([0-9a-f:.]+)\/(\d{1,3})$/i.exec(text) ?? [];
  const family = isIP(address);
  const prefix = Number(length);
  return family !== 0 && prefix <= (family === 4 ? 32 : 128) ? { address, prefix } : undefined;
}

/** The special-purpose addresses of IPv4 by the registry of IANA, with those for several receivers. */
const SPECIAL_IPV4 = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
  ...['192.0.0.0/24', '192.0.2.0/24', '192.31.196.0/24', '192.52.193.0/24', '192.88.99.0/24'],
  ...['192.168.0.0/16', '192.175.48.0/24', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24'],
  ...['224.0.0.0/4', '240.0.0.0/4'],
];
/** The same of IPv6, within `GLOBAL_IPV6`. Nothing outside of it is public. */
const SPECIAL_IPV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '2620:4f:8000::/48', '3fff::/20'];
const GLOBAL_IPV6 = ['2000::/3'];

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 4 ? 'ipv4' : 'ipv6');

function listOf(blocks: readonly Cidr[]): BlockList {
  const list = new BlockList();
  for (const { address, prefix } of blocks) list.addSubnet(address, prefix, familyOf(address));
  return list;
}

const listOfTexts = (texts: readonly string[]): BlockList =>
  listOf(texts.flatMap((text) => parseCidr(text) ?? []));
const specialIpv4 = listOfTexts(SPECIAL_IPV4);
const specialIpv6 = listOfTexts(SPECIAL_IPV6);
const globalIpv6 = listOfTexts(GLOBAL_IPV6);

/** The IPv4 address within an IPv6-mapped one; any other address as it is. Zones are left out. */
function unmapped(address: string): string {
  const [plain = ''] = address.split('%');
  if (isIP(plain) !== 6) return plain;
  const canonical = new URL(`http://[${plain}]/`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical) ?? [];
  if (high === undefined || low === undefined) return canonical;
  const bits = Number.parseInt(high, 16) * 0x10000 + Number.parseInt(low, 16);
  return [24, 16, 8, 0].map((shift) => Math.floor(bits / 2 ** shift) % 256).join('.');
}

/** Whether anybody on the Internet may have this address. */
export function isPublicAddress(address: string): boolean {
  const plain = unmapped(address);
  if (isIP(plain) === 4) return !specialIpv4.check(plain, 'ipv4');
  return isIP(plain) === 6 && globalIpv6.check(plain, 'ipv6') && !specialIpv6.check(plain, 'ipv6');
}

/** The URL is none that this server asks: see `EGRESS_ALLOW`. */
export class EgressRefused extends Error {
  override readonly name = 'EgressRefused';
}

/** The server at the URL was not reached, or did not answer in time, or with too much. */
export class EgressFailed extends Error {
  override readonly name = 'EgressFailed';
}

/** An address of a name, as `dns.lookup` gives it. */
export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** Resolves a name to all of its addresses. Rejects if it has none. */
export type Resolver = (name: string) => Promise<readonly ResolvedAddress[]>;

const systemResolver: Resolver = (name) => lookUpName(name, { all: true, verbatim: true });

export interface EgressRequest {
  readonly method: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** For everything, from the resolving of the name to the last byte. */
  readonly timeoutMs: number;
  /** The most bytes of an answer. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

export interface EgressResponse {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** Makes requests to permitted addresses alone. Follows no redirect: a caller is answered with its status. */
export class Egress {
  readonly #allowed: BlockList;
  readonly #allowsHttp: boolean;
  readonly #resolve: Resolver;

  /** `allow`: addresses that are permitted whatever they are, by http too. */
  constructor(allow: readonly Cidr[] = [], resolve: Resolver = systemResolver) {
    this.#allowed = listOf(allow);
    this.#allowsHttp = allow.length > 0;
    this.#resolve = resolve;
  }

  /** Says what is wrong with a URL that can be seen without resolving its name. */
  findFault(url: string): string | undefined {
    if (!URL.canParse(url)) return 'must be a URL';
    const { protocol, username, password, hostname } = new URL(url);
    if (protocol !== 'https:' && protocol !== 'http:') return 'must be an https:// URL';
    if (username !== '' || password !== '') return 'must have no user name and password in it';
    if (protocol === 'http:' && !this.#allowsHttp) return NOT_PERMITTED;
    const address = hostname.replace(/^\[(.*)\]$/, '$1');
    return isIP(address) === 0 || this.#isPermitted(address, protocol) ? undefined : NOT_PERMITTED;
  }

  /**
   * As `findFault`, after the name is resolved. A name that cannot be resolved now has no fault: it is checked again at
   * each request. With `http` it has one, as only `EGRESS_ALLOW` permits that.
   */
  async check(url: string): Promise<string | undefined> {
    const fault = this.findFault(url);
    if (fault !== undefined) return fault;
    try {
      await this.#addressesOf(new URL(url));
      return undefined;
    } catch (error) {
      const isPlain = new URL(url).protocol === 'http:';
      return error instanceof EgressRefused || isPlain ? NOT_PERMITTED : undefined;
    }
  }

  /** Rejects with `EgressRefused` before anything is sent, or with `EgressFailed`. Any answer resolves. */
  async request(url: string, request: EgressRequest): Promise<EgressResponse> {
    const fault = this.findFault(url);
    if (fault !== undefined) throw new EgressRefused(`the URL ${fault}`);
    const { timeoutMs, signal } = request;
    const late = AbortSignal.timeout(timeoutMs);
    const ended = signal ? AbortSignal.any([signal, late]) : late;
    try {
      const target = new URL(url);
      const addresses = await endedBy(ended, this.#addressesOf(target));
      return await exchange(target, addresses, request, ended);
    } catch (cause) {
      if (cause instanceof EgressRefused) throw cause;
      const why = late.aborted ? `no answer within ${timeoutMs} ms` : messageOf(cause);
      throw new EgressFailed(`${new URL(url).host} was not reached: ${why}`, { cause });
    }
  }

  /** The permitted addresses of the URL. Rejects with `EgressRefused` if it has others only. */
  async #addressesOf({ hostname, protocol }: URL): Promise<readonly ResolvedAddress[]> {
    const literal = hostname.replace(/^\[(.*)\]$/, '$1');
    const family = isIP(literal);
    const found = family === 0 ? await this.#resolve(hostname) : [{ address: literal, family }];
    const permitted = found.filter(({ address }) => this.#isPermitted(address, protocol));
    if (permitted.length === 0) throw new EgressRefused(`the URL ${NOT_PERMITTED}`);
    return permitted;
  }

  #isPermitted(address: string, protocol: string): boolean {
    const plain = unmapped(address);
    if (isIP(plain) === 0) return false;
    return this.#allowed.check(plain, familyOf(plain)) || (protocol === 'https:' && isPublicAddress(plain));
  }
}

const NOT_PERMITTED = 'must be https at a public address, or an address of EGRESS_ALLOW';

/** Rejects when the signal ends the wait. What was waited for goes on alone. */
function endedBy<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = () => reject(signal.reason);
    if (signal.aborted) end();
    signal.addEventListener('abort', end, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', end));
  });
}

/** A look-up that knows only the addresses that were checked. */
function checkedLookup(addresses: readonly ResolvedAddress[]): LookupFunction {
  const [first] = addresses;
  return (_, { all }, callback) => {
    if (all) callback(null, [...addresses]);
    else callback(null, first?.address ?? '', first?.family);
  };
}

/** Sends one request over a connection of its own, which goes to one of these addresses. */
function exchange(
  url: URL,
  addresses: readonly ResolvedAddress[],
  { method, headers = {}, body, maxBytes }: EgressRequest,
  signal: AbortSignal,
): Promise<EgressResponse> {
  const send = url.protocol === 'https:' ? requestHttps : requestHttp;
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  const lookup = checkedLookup(addresses);
  return new Promise((resolve, reject) => {
    const options = { method, headers: { ...headers, ...length }, lookup, agent: false as const, signal };
    const asking = send(url, options, (response) => {
      readText(response, maxBytes).then(
        (text) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
        reject,
      );
    });
    asking.once('error', reject);
    asking.end(body);
  });
}

async function readText(response: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // A stream without an encoding gives buffers.
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      response.destroy();
      throw new Error(`the answer has more than ${maxBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
