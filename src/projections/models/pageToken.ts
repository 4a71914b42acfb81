import { crc32 } from 'node:zlib';
import { badRequest } from '../../base/errors.js';

/** The `next` of an answer: where its next page begins. It is opaque to clients and has a checksum. */

/** What a page has. The `next` of one cannot be used for another. */
type PageOf = 'chats' | 'friends' | 'blocked' | 'members' | 'readers' | 'open reports' | 'closed reports';

/** The last row of a page; the next page continues behind it. */
export interface PageEnd {
  readonly sort: number;
  readonly key: string;
}

/** What a client asks: how many rows, and the `next` of the page before. */
export interface PageAsked {
  readonly limit: number;
  readonly next?: string;
}

/** Writes the `next` of a page that ends with this row. */
export function writeNext(what: PageOf, { sort, key }: PageEnd): string {
  const body = Buffer.from(`${what}/${sort.toString(36)}/${key}`).toString('base64url');
  return `${body}.${crc32(body).toString(36)}`;
}

/** Where a page begins. Throws `bad_request` if `next` was altered or is of another kind of page. */
export const fromNext = (what: PageOf, next: string | undefined): { readonly from?: PageEnd } =>
  next === undefined ? {} : { from: parseNext(what, next) };

export function parseNext(what: PageOf, text: string): PageEnd {
  const [body = '', checksum, ...rest] = text.split('.');
  const [kind, place = '', key] = Buffer.from(body, 'base64url').toString().split('/');
  const sort = Number.parseInt(place, 36);
  const isWhole = rest.length === 0 && crc32(body).toString(36) === checksum && kind === what;
  if (isWhole && key !== undefined && Number.isSafeInteger(sort)) return { sort, key };
  throw refuseNext(what);
}

function refuseNext(what: PageOf) {
  const message = `must be the next of an earlier page of ${what}`;
  return badRequest(`next ${message}`, [{ path: 'next', message }]);
}
