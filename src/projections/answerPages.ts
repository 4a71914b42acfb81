import { crc32 } from 'node:zlib';
import { badRequest } from '../base/errors.js';
import { PAGE_BYTES } from '../domain/limits.js';

/** Pages of answers: where one begins, where it ends, and the `next` that names its end. */

/** What a page has. The `next` of one cannot be used for another. */
export type PageOf =
  | 'chats'
  | 'friends'
  | 'blocked'
  | 'members'
  | 'readers'
  | 'happenings'
  | 'open reports'
  | 'closed reports';

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
function writeNext(what: PageOf, { sort, key }: PageEnd): string {
  const body = Buffer.from(`${what}/${sort.toString(36)}/${key}`).toString('base64url');
  return `${body}.${crc32(body).toString(36)}`;
}

/** Where a page begins. Throws `bad_request` if `next` was altered or is of another kind of page. */
export const fromNext = (what: PageOf, next: string | undefined): { readonly from?: PageEnd } =>
  next === undefined ? {} : { from: parseNext(what, next) };

export function parseNext(what: PageOf, text: string): PageEnd {
  const [body = '', checksum, ...rest] = text.split('.');
  // A key may have a slash too.
  const [kind, place = '', ...key] = Buffer.from(body, 'base64url').toString().split('/');
  const sort = Number.parseInt(place, 36);
  const isWhole = rest.length === 0 && crc32(body).toString(36) === checksum && kind === what;
  if (isWhole && key.length > 0 && Number.isSafeInteger(sort)) return { sort, key: key.join('/') };
  throw refuseNext(what);
}

function refuseNext(what: PageOf) {
  const message = `must be the next of an earlier page of ${what}`;
  return badRequest(`next ${message}`, [{ path: 'next', message }]);
}

/** What one page of an answer shows, and the last row that it has gone through. */
export interface CutPage<R, S> {
  readonly shown: S[];
  /** The next page begins behind it; undefined: there is none. */
  readonly end: R | undefined;
}

/**
 * Ends a page of these rows at `PAGE_BYTES` of JSON, with at least one shown. `show` returns undefined for a row that is
 * left out. `hasMore`: there are rows behind these. Every page of an answer is cut here.
 */
export function cutPage<R, S>(
  rows: readonly R[],
  hasMore: boolean,
  show: (row: R) => S | undefined,
): CutPage<R, S> {
  const shown: S[] = [];
  let bytes = 0;
  let last: R | undefined;
  for (const row of rows) {
    const one = show(row);
    if (one !== undefined) {
      bytes += Buffer.byteLength(JSON.stringify(one));
      if (shown.length > 0 && bytes > PAGE_BYTES) return { shown, end: last };
      shown.push(one);
    }
    last = row;
  }
  return { shown, end: hasMore ? last : undefined };
}

/** The `next` of a page that was cut; none at the end. */
export const nextOf = <R>(
  what: PageOf,
  end: R | undefined,
  placeOf: (row: R) => PageEnd,
): { readonly next?: string } => (end === undefined ? {} : { next: writeNext(what, placeOf(end)) });
