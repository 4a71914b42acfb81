import { createHash, randomBytes } from 'node:crypto';
import type { WriterInRoom } from '../../src/domain/ids.js';
import {
  cutOutOfEach,
  encodeTrees,
  newRoot,
  RoomKeys,
  roomKeysId,
  seqPath,
  type Tree,
  type Trees,
} from '../../src/vault/textKeys.js';
import type {
  BegunErasure,
  Credential,
  CredentialStore,
  DataKey,
  ErasureStore,
  KeyStore,
  PasswordReset,
  Passwords,
  Session,
  SessionStore,
  Vault,
} from '../../src/vault/vault.js';

/** The keys of a writer's texts in a room in which nothing was destroyed. */
export const newRoomKeys = (): RoomKeys => RoomKeys.from(encodeTrees(new Map([[0, newRoot()]])));

/** The vault's promises, in memory. */
export class FakeVault implements Vault {
  readonly keys: KeyStore = new FakeKeys();
  readonly credentials: CredentialStore = new FakeCredentials();
  readonly sessions: SessionStore = new FakeSessions();
  readonly erasures: ErasureStore = new FakeErasures(this.credentials);
  async close(): Promise<void> {}
}

class FakeKeys implements KeyStore {
  readonly #keys = new Map<string, DataKey | 'destroyed'>();
  readonly #rooms = new Map<string, Trees>();
  readonly #progress = new Map<number, number>();
  #generation = 0;

  async create(owner: string): Promise<void> {
    if (this.#keys.get(owner) === 'destroyed') throw new Error('destroyed');
    if (!this.#keys.has(owner)) this.#keys.set(owner, randomBytes(32));
  }
  async getKey(owner: string): Promise<DataKey | 'destroyed'> {
    const key = this.#keys.get(owner);
    if (!key) throw new Error(`no key of ${owner}`);
    return key;
  }
  async getKeys(owners: readonly string[]): Promise<Map<string, DataKey | 'destroyed'>> {
    return new Map(
      await Promise.all(owners.map(async (owner) => [owner, await this.getKey(owner)] as const)),
    );
  }
  async destroy(owner: string): Promise<void> {
    this.#keys.set(owner, 'destroyed');
  }
  #treesOf(room: WriterInRoom): Trees {
    const trees = new Map<number, Tree>(this.#rooms.get(roomKeysId(room)));
    for (let generation = 0; generation <= this.#generation; generation++)
      if (!trees.has(generation)) trees.set(generation, newRoot());
    this.#rooms.set(roomKeysId(room), trees);
    return trees;
  }
  async getRoomKeys(rooms: readonly WriterInRoom[]): Promise<Map<string, RoomKeys | 'destroyed'>> {
    const owners = await this.getKeys(rooms.map(({ owner }) => owner));
    return new Map(
      rooms.map((room) => {
        const keys = () => RoomKeys.from(encodeTrees(this.#treesOf(room)));
        return [roomKeysId(room), owners.get(room.owner) === 'destroyed' ? 'destroyed' : keys()];
      }),
    );
  }
  async fetchHeldKeys(room: WriterInRoom): Promise<RoomKeys | 'destroyed'> {
    return (await this.getRoomKeys([room])).get(roomKeysId(room)) ?? 'destroyed';
  }

  forgetRoomKeys(): void {}

  async destroyTexts(room: WriterInRoom, seqs: readonly number[]): Promise<void> {
    this.#rooms.set(roomKeysId(room), cutOutOfEach(this.#treesOf(room), seqs.map(seqPath)));
  }
  async beginGeneration(): Promise<number> {
    this.#progress.clear();
    return ++this.#generation;
  }
  async generation(): Promise<number> {
    return this.#generation;
  }
  async destructionProgress(partition: number): Promise<number> {
    return this.#progress.get(partition) ?? 0;
  }
  async saveDestructionProgress(partition: number, size: number): Promise<void> {
    this.#progress.set(partition, Math.max(size, await this.destructionProgress(partition)));
  }
}

class FakeCredentials implements CredentialStore {
  readonly #claims = new Map<string, Credential | 'erased'>();

  idOf(name: string): string {
    return `claim of ${name.toLowerCase()}`;
  }
  async claim(name: string, credential: Credential): Promise<boolean> {
    if (this.#claims.has(name.toLowerCase())) return false;
    this.#claims.set(name.toLowerCase(), credential);
    return true;
  }
  async find(name: string): Promise<Credential | 'erased' | undefined> {
    return this.#claims.get(name.toLowerCase());
  }
  async markRegistered(name: string): Promise<void> {
    this.#change(name, (credential) => ({ ...credential, registered: true }));
  }
  async changePassword(name: string, oldHash: string | undefined, newHash: string): Promise<boolean> {
    const found = this.#claims.get(name.toLowerCase());
    if (found === undefined || found === 'erased' || found.passwordHash !== oldHash) return false;
    this.#change(name, ({ reset: _, ...credential }) => ({ ...credential, passwordHash: newHash }));
    return true;
  }
  async setReset(name: string, reset: PasswordReset): Promise<boolean> {
    const found = this.#claims.get(name.toLowerCase());
    this.#change(name, (credential) => ({ ...credential, reset }));
    return found !== undefined && found !== 'erased';
  }
  async useReset(name: string, codeHash: string, newHash: string, now: Date): Promise<boolean> {
    const found = this.#claims.get(name.toLowerCase());
    if (found === undefined || found === 'erased' || found.reset?.codeHash !== codeHash) return false;
    if (now >= new Date(found.reset.expiresAt)) return false;
    return this.changePassword(name, found.passwordHash, newHash);
  }
  async erase(name: string): Promise<void> {
    this.#claims.set(name.toLowerCase(), 'erased');
  }
  #change(name: string, change: (credential: Credential) => Credential): void {
    const found = this.#claims.get(name.toLowerCase());
    if (found !== undefined && found !== 'erased') this.#claims.set(name.toLowerCase(), change(found));
  }
}

class FakeErasures implements ErasureStore {
  readonly #begun = new Map<string, BegunErasure>();
  readonly #credentials: CredentialStore;

  constructor(credentials: CredentialStore) {
    this.#credentials = credentials;
  }

  async begin(userId: string, username: string, via?: string): Promise<BegunErasure> {
    const begun = { userId, claim: username, ...(via === undefined ? {} : { via }) };
    this.#begun.set(userId, begun);
    return begun;
  }
  async list(): Promise<BegunErasure[]> {
    return [...this.#begun.values()];
  }
  eraseClaim({ claim }: BegunErasure): Promise<void> {
    return this.#credentials.erase(claim);
  }
  async end(userId: string): Promise<void> {
    this.#begun.delete(userId);
  }
}

class FakeSessions implements SessionStore {
  readonly #sessions = new Map<string, Session & { endedAt?: string }>();
  readonly #handlers = new Set<(id: string) => void>();

  async create(userId: string, now: Date, ttlMs: number): Promise<{ token: string; session: Session }> {
    const token = randomBytes(32).toString('base64url');
    const expiresAt = new Date(now.getTime() + ttlMs).toISOString();
    const session = { userId, id: idOf(token), createdAt: now.toISOString(), expiresAt };
    this.#sessions.set(session.id, session);
    return { token, session };
  }
  find(token: string, now: Date): Promise<Session | undefined> {
    return this.findById(idOf(token), now);
  }
  async findById(id: string, now: Date): Promise<Session | undefined> {
    const session = this.#sessions.get(id);
    return session && !session.endedAt && session.expiresAt > now.toISOString() ? session : undefined;
  }
  async findIssued(): Promise<undefined> {}
  async createIssued(): Promise<undefined> {}
  async revokeIssued(): Promise<string[]> {
    return [];
  }
  async revoke(id: string): Promise<void> {
    const session = this.#sessions.get(id);
    if (!session || session.endedAt) return;
    this.#sessions.set(id, { ...session, endedAt: new Date().toISOString() });
    for (const handler of this.#handlers) handler(id);
  }
  async revokeAll(userId: string, except?: string): Promise<string[]> {
    const open = [...this.#sessions.values()].filter(
      (s) => s.userId === userId && !s.endedAt && s.id !== except,
    );
    for (const { id } of open) await this.revoke(id);
    return open.map(({ id }) => id);
  }
  async list(userId: string): Promise<(Session & { endedAt?: string })[]> {
    return [...this.#sessions.values()].filter((session) => session.userId === userId);
  }
  noteRevoked(ids: readonly string[]): void {
    for (const id of ids) for (const handler of this.#handlers) handler(id);
  }
  onRevoked(handler: (id: string) => void): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }
}

const idOf = (token: string): string => createHash('sha256').update(token).digest('hex');

/** Notes what it was asked to compare with, so that a test can see that work was done for an unknown name. */
export class FakePasswords implements Passwords {
  readonly waiting = 0;
  readonly compared: (string | undefined)[] = [];
  /** Hashes that were made with another are outdated. */
  cost = 4;
  async hash(password: string): Promise<string> {
    return `hash of ${idOf(password)} ${randomBytes(4).toString('hex')} cost ${this.cost}`;
  }
  isOutdated(hash: string): boolean {
    return !hash.endsWith(` cost ${this.cost}`);
  }
  async verify(password: string, hash: string | undefined): Promise<boolean> {
    this.compared.push(hash);
    return hash?.startsWith(`hash of ${idOf(password)} `) ?? false;
  }
  async close(): Promise<void> {}
}
