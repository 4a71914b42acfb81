import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { overloaded } from '../../base/errors.js';
import type { Moment } from '../../domain/commands.js';
import { type EventLog, NotExtended } from '../../log/log.js';
import type { MerkleReader } from '../../projections/models/merkleTiles.js';
import type { Progress } from '../../projections/queryWaits.js';
import type { HeadStore, SignedHead, SigningKeys } from '../../vault/vault.js';

/** The type of an Ed25519 public key in verifier keys and key ids (C2SP signed-note). */
export const ED25519 = 1;

/**
 * The four bytes before each signature that name its key (C2SP signed-note). `key` is the type byte and the
 * public key.
 */
export const keyIdOf = (name: string, key: Buffer): Buffer =>
  createHash('sha256').update(`${name}\n`).update(key).digest().subarray(0, 4);

/**
 * The verifier key for notes that this Ed25519 private key signs under this name, such as
 * `name+1234abcd+AbC…`.
 */
function verifierKey(name: string, key: KeyObject): string {
  const bytes = publicBytes(key);
  return `${name}+${keyIdOf(name, bytes).toString('hex')}+${bytes.toString('base64')}`;
}

/** Signs a text that ends with a line break (C2SP signed-note). */
function signNote(text: string, name: string, key: KeyObject): string {
  const signature = Buffer.concat([keyIdOf(name, publicBytes(key)), sign(null, Buffer.from(text), key)]);
  return `${text}\n— ${name} ${signature.toString('base64')}\n`;
}

function publicBytes(key: KeyObject): Buffer {
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' });
  return Buffer.concat([Buffer.from([ED25519]), Buffer.from(x, 'base64url')]);
}

/** The longest wait for a larger head. */
const HEAD_WAIT_MS = 5000;
const RETRY_MS = 100;

/** The services that heads are signed with. */
export interface HeadParts {
  /** The setting `LOG_ORIGIN`. */
  readonly origin: string;
  readonly vault: { readonly heads: HeadStore; readonly signing: SigningKeys };
  readonly log: Pick<EventLog, 'read' | 'tail'> & { readonly partitions: number };
  readonly merkleReader: Pick<MerkleReader, 'root'>;
  readonly progress: Pick<Progress, 'waitFor'>;
}

/** The name of a partition in its checkpoints, and of the keys that sign them. */
const originOf = (origin: string, partition: number): string => `${origin}/${partition}`;

/** Verifier keys (C2SP signed-note), one line for each partition and key. The key in use comes first. */
export async function verifierKeys(
  signing: SigningKeys,
  origin: string,
  partitions: number,
): Promise<string[]> {
  const keys = await signing.list();
  return Array.from({ length: partitions }, (_, partition) =>
    keys.map((key) => verifierKey(originOf(origin, partition), key)),
  ).flat();
}

/**
 * The signed heads of the log (C2SP tlog-checkpoint). An extension line, `commit <position> <hash>`, covers the last
 * commit, so that times, ids and epochs of commits cannot be rewritten. Each head extends the one before, and belongs
 * to a commit whose tiles are folded. The vault stores a head before any client gets it. So there is one head of a
 * size, however many nodes sign.
 */
export class Heads {
  readonly #advancing = new Map<number, Promise<SignedHead>>();
  readonly #broken = new Set<number>();

  constructor(private readonly parts: HeadParts) {}

  /** See `verifierKeys`. */
  keys(): Promise<string[]> {
    const { vault, origin, log } = this.parts;
    return verifierKeys(vault.signing, origin, log.partitions);
  }

  /** Whether a partition does not extend its signed head, and no operator has accepted that. */
  get isBroken(): boolean {
    return this.#broken.size > 0;
  }

  /** Resolves if the log still has the commit of the signed head. Throws `NotExtended` if not. */
  async check(partition: number): Promise<void> {
    const { log, vault } = this.parts;
    const { heads } = vault;
    const signed = await heads.get(partition);
    const [commit] = signed ? await log.read(partition, signed.position - 1, 1) : [];
    if (!signed || (commit?.size === signed.size && commit.hash === signed.hash)) {
      this.#broken.delete(partition);
      return;
    }
    this.#broken.add(partition);
    throw new NotExtended(partition, `the commit of its ${signed.size} events is another, or missing`);
  }

  /**
   * Returns a head of at least this size, the signed one if it is large enough. Rejects with `overloaded`
   * after 5 s.
   */
  async headCovering(partition: number, size: number): Promise<SignedHead> {
    const signed = await this.parts.vault.heads.get(partition);
    if (signed && signed.size >= size) return signed;
    const giveUpAt = performance.now() + HEAD_WAIT_MS;
    for (;;) {
      const head = await this.advance(partition);
      if (head.size >= size) return head;
      if (performance.now() > giveUpAt)
        throw overloaded(
          `the log has ${head.size} events, fewer than asked for: try again when it has grown`,
        );
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  /**
   * Returns the head of the whole log, and signs it if needed. Throws `NotExtended`; rejects with
   * `overloaded` after 5 s.
   */
  advance(partition: number): Promise<SignedHead> {
    const running = this.#advancing.get(partition);
    if (running) return running;
    const advancing = this.#trackBroken(partition, this.#advance(partition)).finally(() =>
      this.#advancing.delete(partition),
    );
    this.#advancing.set(partition, advancing);
    return advancing;
  }

  /**
   * Accepts the log as it is now, on behalf of an operator. Its head replaces the one that it does not
   * extend.
   */
  async accept(partition: number): Promise<SignedHead> {
    const { heads } = this.parts.vault;
    const from = await heads.get(partition);
    if (!from) return this.advance(partition);
    const to = await this.#sign(await this.#readUnsigned(partition));
    if (to.position === from.position && to.hash === from.hash) return from;
    if (await heads.replaceAbandoned(from, to)) {
      this.#broken.delete(partition);
      return to;
    }
    throw overloaded('another node signed a head meanwhile; try again');
  }

  async #trackBroken(partition: number, advancing: Promise<SignedHead>): Promise<SignedHead> {
    try {
      const head = await advancing;
      this.#broken.delete(partition);
      return head;
    } catch (error) {
      if (error instanceof NotExtended) this.#broken.add(partition);
      throw error;
    }
  }

  async #advance(partition: number): Promise<SignedHead> {
    const { heads } = this.parts.vault;
    for (let tries = 0; tries < 3; tries++) {
      const from = await heads.get(partition);
      const unsigned = await this.#readUnsigned(partition, from);
      if (from?.size === unsigned.size) return from;
      const to = await this.#sign(unsigned);
      if (await heads.advance(from, to)) return to;
    }
    throw overloaded('other nodes sign heads at the same time; try again');
  }

  /** Reads the head of the log, with its tiles folded. Checks that it extends `from`, if given. */
  async #readUnsigned(partition: number, from?: SignedHead): Promise<Omit<SignedHead, 'note'>> {
    const { merkleReader, log, progress } = this.parts;
    const tail = await log.tail(partition);
    if (from && (tail?.size ?? 0) < from.size)
      throw new NotExtended(partition, `it has ${tail?.size ?? 0} events instead of ${from.size}`);
    if (!tail) throw overloaded('the partition is still empty; try again later');
    const { position, size, root, hash } = tail;
    if (from && (await log.read(partition, from.position - 1, 1))[0]?.hash !== from.hash)
      throw new NotExtended(partition, `the commit of its ${from.size} events is another`);
    const moment: Moment = { partition, size };
    await progress.waitFor(moment);
    if (from && (await merkleReader.root(partition, from.size)) !== from.root)
      throw new NotExtended(partition, `its first ${from.size} events are others`);
    if ((await merkleReader.root(partition, size)) !== root)
      throw new NotExtended(partition, `its tiles are not those of its ${size} events`);
    return { partition, position, size, root, hash };
  }

  async #sign(at: Omit<SignedHead, 'note'>): Promise<SignedHead> {
    const [key] = await this.parts.vault.signing.list();
    const { partition, position, size, root, hash } = at;
    const name = originOf(this.parts.origin, partition);
    return { ...at, note: signNote(`${name}\n${size}\n${root}\ncommit ${position} ${hash}\n`, name, key) };
  }
}

const SIGN_INTERVAL_MS = 10_000;

/** The services of `HeadSigner`. */
export interface HeadSignerParts {
  readonly heads: Pick<Heads, 'advance'>;
  /** The partitions that this node signs. */
  readonly owned: () => readonly number[];
  /** The number of events in a partition. */
  readonly size: (partition: number) => Promise<number>;
  readonly report: (message: string, error: unknown) => void;
}

/** Signs this node's partitions that have grown, every 10 s and when the system stops. */
export class HeadSigner {
  readonly #signed = new Map<number, number>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(private readonly parts: HeadSignerParts) {}

  start(): void {
    this.#timer = setInterval(() => this.#sign(), SIGN_INTERVAL_MS).unref();
    this.#sign();
  }

  /**
   * Signs a last time. Resolves when that is done or has failed, or after `ms` milliseconds. Call it when no
   * more events come, while projections still run.
   */
  async stop(ms: number): Promise<void> {
    clearInterval(this.#timer);
    this.#sign();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.parts.report(
          'the end of the log was not signed before the stop',
          new Error(`not signed within ${ms} ms`),
        );
        resolve();
      }, ms);
    });
    await Promise.race([this.#running, late]);
    clearTimeout(timer);
  }

  /** One round after the other, so that rounds do not pile up behind a slow vault. */
  #sign(): void {
    this.#running = this.#running.then(async () => {
      await Promise.all(this.parts.owned().map((partition) => this.#advance(partition)));
    });
  }

  async #advance(partition: number): Promise<void> {
    const { heads, size, report } = this.parts;
    try {
      if ((await size(partition)) <= (this.#signed.get(partition) ?? 0)) return;
      const head = await heads.advance(partition);
      this.#signed.set(partition, head.size);
    } catch (error) {
      const message =
        error instanceof NotExtended
          ? 'the log does not extend its signed head'
          : 'a head could not be signed; trying again';
      report(message, error);
    }
  }
}
