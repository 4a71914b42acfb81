import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

/**
 * The address a request counts against: the peer's, or behind `trustedProxies` proxies the one that the
 * outermost of them saw, the n-th of `X-Forwarded-For` from the right; what stands left of it anyone can write.
 * Of an IPv6 address only the /64 counts: that much belongs to one subscriber.
 */
export function addressOf(request: IncomingMessage, trustedProxies: number): string {
  const peer = request.socket.remoteAddress ?? '';
  if (trustedProxies === 0) return network(peer);
  // Several such headers arrive joined by commas.
  const forwarded = String(request.headers['x-forwarded-for'] ?? '')
    .split(',')
    .map((address) => address.trim());
  const claimed = forwarded.at(-trustedProxies) ?? forwarded[0] ?? '';
  return network(isIP(claimed) ? claimed : peer);
}

function network(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped?.[1] !== undefined) return mapped[1];
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::');
  const groups = (text: string | undefined): string[] => (text ? text.split(':') : []);
  const missing = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array<string>(Math.max(0, missing)).fill('0'), ...groups(tail)];
  return all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}
