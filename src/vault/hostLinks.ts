import { createHash, createHmac } from 'node:crypto';
import { overloaded, VaultUnavailable } from '../base/errors.js';
import type { UserId } from '../domain/ids.js';
import { open, seal } from './dataKeys.js';
import type { MasterKeys } from './masterKey.js';
import type { ClaimTable, NumberTable } from './vaultStore.js';

/** Which user a host id names. It is there for ever: the id of an erased user makes no other user. */
export interface HostLink {
  readonly userId: UserId;
  readonly backgroundColor: string;
  /** The name that was chosen for the user, once one is claimed. */
  readonly username?: string;
  /** Whether everything about the new user is recorded. Until then, the next call goes on with it. */
  readonly isComplete: boolean;
}

/** The links of host ids to users. A host id is the host application's own, and the subject of its issuer. */
export interface HostLinkStore {
  find(hostId: string): Promise<HostLink | undefined>;
  /** Inserts a link that is not complete. Returns the one that is stored, which may be another's. Durable once resolved. */
  claim(hostId: string, link: Omit<HostLink, 'isComplete' | 'username'>): Promise<HostLink>;
  /** Stores the name unless there is one, and returns the one that is stored. */
  chooseName(hostId: string, username: string): Promise<string>;
  markComplete(hostId: string): Promise<void>;
  /** A name of 12 letters and digits for this host id, the same each time; others by other numbers. */
  nameOf(hostId: string, number: number): string;
  /** Refuses tokens of this subject that were issued until `upTo`, a time in seconds since 1970, from now on. */
  refuseUntil(hostId: string, upTo: number): Promise<void>;
  /** Refuses tokens of this session of the issuer from now on. */
  refuseSession(sid: string): Promise<void>;
  /** Whether a token of the subject and session, issued at this second, is refused. */
  isRefused(hostId: string, issuedAt: number, sid: string | undefined): Promise<boolean>;
}

type StoredLink = Omit<HostLink, 'isComplete'>;

const MAX_REPLACE_TRIES = 8;
const NAME_LETTERS = 12;
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** Host links over the rows of claims. The prefix keeps their ids apart from those of user names, which have no colon. */
export function createHostLinkStore(
  store: ClaimTable & NumberTable,
  { names, claims }: Pick<MasterKeys, 'names' | 'claims'>,
): HostLinkStore {
  const hmac = (text: string): string => createHmac('sha256', names).update(text).digest('hex');
  const idOf = (hostId: string): string => hmac(`ext:${hostId}`);
  const logoutOf = (hostId: string): string => `logout of ${hmac(`logout:${hostId}`)}`;
  const sessionOf = (sid: string): string => `logout of session ${hmac(`sid:${sid}`)}`;
  const sealLink = (id: string, link: StoredLink): string => seal(claims, JSON.stringify(link), id);

  /** The stored link with the sealed text to compare with. */
  async function read(id: string): Promise<(HostLink & { readonly sealed: string }) | undefined> {
    const row = await store.findClaim(id);
    if (!row || row.sealed === null) return undefined;
    try {
      // Only `sealLink` can have made a text that opens here.
      const link = JSON.parse(open(claims, row.sealed, id)) as StoredLink;
      return { ...link, isComplete: row.registered, sealed: row.sealed };
    } catch (cause) {
      throw new VaultUnavailable(`host link ${id} does not open with this master key`, { cause });
    }
  }

  async function find(hostId: string): Promise<HostLink | undefined> {
    const found = await read(idOf(hostId));
    if (!found) return undefined;
    const { sealed: _, ...link } = found;
    return link;
  }

  return {
    find,
    async claim(hostId, link) {
      const id = idOf(hostId);
      await store.insertClaim(id, sealLink(id, link));
      const stored = await find(hostId);
      if (!stored) throw new VaultUnavailable(`host link ${id} is missing right after it was stored`);
      return stored;
    },
    async chooseName(hostId, username) {
      const id = idOf(hostId);
      for (let tries = 1; tries <= MAX_REPLACE_TRIES; tries++) {
        const stored = await read(id);
        if (!stored) throw new VaultUnavailable(`host link ${id} is missing`);
        if (stored.username !== undefined) return stored.username;
        const { userId, backgroundColor, sealed } = stored;
        if (await store.replaceClaim(id, sealed, sealLink(id, { userId, backgroundColor, username })))
          return username;
      }
      throw overloaded('another request is creating the user; try again');
    },
    markComplete: (hostId) => store.markRegistered(idOf(hostId)),
    nameOf(hostId, number) {
      const bytes = createHash('sha256')
        .update(`${idOf(hostId)} ${number}`)
        .digest();
      return [...bytes.subarray(0, NAME_LETTERS)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('');
    },
    async refuseUntil(hostId, upTo) {
      await store.raiseNumber(logoutOf(hostId), upTo);
    },
    async refuseSession(sid) {
      await store.raiseNumber(sessionOf(sid), 1);
    },
    async isRefused(hostId, issuedAt, sid) {
      const [upTo, isSessionOver] = await Promise.all([
        store.findNumber(logoutOf(hostId)),
        sid === undefined ? 0 : store.findNumber(sessionOf(sid)),
      ]);
      return issuedAt <= upTo || isSessionOver > 0;
    },
  };
}
