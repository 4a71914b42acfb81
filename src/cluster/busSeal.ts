import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { NodeId } from './bus.js';

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const NODE_BYTES = 16;
const COUNTER_BYTES = 8;
const HEADER_BYTES = NODE_BYTES + COUNTER_BYTES;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** By how many bytes a sealed message is longer. */
export const SEAL_BYTES = HEADER_BYTES + TAG_BYTES;

/** The least time between two calls of `onStranger`. */
const STRANGER_INTERVAL_MS = 1000;

/** What a node writes into the database of its log, so that the other nodes take its messages. */
export interface Credential {
  /** 32 random bytes in base64, new in each process. Its key follows from them and from the master key. */
  readonly secret: string;
  /** How many messages the node had sent. Whoever reads this takes only later ones. */
  readonly sent: number;
}

/** What a message is for: it is taken for nothing else. A reply names its request by `SealedMessage.tag`. */
export type Purpose = 'commits' | 'notes' | `request to ${NodeId}` | `reply to ${string}`;

export interface SealedMessage {
  readonly bytes: Uint8Array;
  /** Names this message: nobody can make another one with this tag. */
  readonly tag: string;
}

export interface OpenedMessage {
  readonly data: Uint8Array;
  readonly from: NodeId;
  readonly tag: string;
}

/** The message was changed or repeated, or is of another purpose, master key or log. */
export class ForgedMessage extends Error {
  override readonly name = 'ForgedMessage';
}

/** The database does not name the sender as a live node, or does not name it yet. */
export class StrangerError extends Error {
  override readonly name = 'StrangerError';

  constructor(
    node: NodeId,
    /** `SealedMessage.tag` of the message. */
    readonly tag: string,
  ) {
    super(
      `node ${node} is not in the list of live nodes of this database; it has just started, or another system uses the same NATS`,
    );
  }
}

/** A node whose messages are taken. */
interface Sender {
  readonly secret: string;
  readonly key: Uint8Array;
  /** Messages up to this number are not taken. */
  readonly from: number;
  /** The number of the last message taken, for each purpose but replies. */
  readonly last: Map<Purpose, number>;
}

/**
 * Seals what nodes of one log tell each other, with AES-256-GCM. Whoever reads NATS learns nothing but ids of nodes,
 * lengths and times. Whoever writes there, or plays a recorded message again, is not believed: a sender's key follows
 * from the master key and from a secret that the sender has written into the database of the log. So even a copy of
 * the database, with the same master key, is a stranger.
 */
export class BusSeal {
  readonly #secret = randomBytes(KEY_BYTES).toString('base64');
  readonly #key: Uint8Array;
  readonly #derive: (secret: string) => Uint8Array;
  readonly #now: () => number;
  #sent = 0;
  #senders: ReadonlyMap<NodeId, Sender> = new Map();
  #onStranger = (): void => {};
  #strangerAt = Number.NEGATIVE_INFINITY;

  /** `master`: the key for the bus that follows from the master key. `now`: milliseconds, monotonic. */
  constructor(
    private readonly node: NodeId,
    master: Uint8Array,
    logId: string,
    now: () => number = () => performance.now(),
  ) {
    this.#derive = (secret) =>
      new Uint8Array(
        hkdfSync('sha256', master, Buffer.from(secret, 'base64'), `parley bus ${logId}`, KEY_BYTES),
      );
    this.#key = this.#derive(this.#secret);
    this.#now = now;
  }

  /** For this node's row in the database. */
  get credential(): Credential {
    return { secret: this.#secret, sent: this.#sent };
  }

  /** From now on takes messages of these nodes only: those whom the database of the log names as live. */
  trust(live: readonly { readonly node: NodeId; readonly credential?: Credential | undefined }[]): void {
    const senders = new Map<NodeId, Sender>();
    for (const { node, credential } of live) {
      if (!credential) continue;
      const { secret, sent } = credential;
      const known = this.#senders.get(node);
      const isKnown = known?.secret === secret;
      senders.set(node, isKnown ? known : { secret, key: this.#derive(secret), from: sent, last: new Map() });
    }
    this.#senders = senders;
  }

  /** Whether messages of this node are taken. If not, the list of live nodes should be read again. */
  trusts(node: NodeId): boolean {
    if (this.#senders.has(node)) return true;
    this.#meetStranger();
    return false;
  }

  /** Calls the handler, at most once a second, when a node is met that is not trusted. */
  set onStranger(handler: () => void) {
    this.#onStranger = handler;
  }

  /** Seals the next message of this node. */
  seal(purpose: Purpose, data: Uint8Array): SealedMessage {
    const header = Buffer.alloc(HEADER_BYTES);
    header.write(this.node.replaceAll('-', ''), 'hex');
    header.writeBigUInt64BE(BigInt(++this.#sent), NODE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#key, nonceOf(header)).setAAD(Buffer.from(purpose));
    const sealed = cipher.update(data);
    cipher.final();
    const tag = cipher.getAuthTag();
    return { bytes: Buffer.concat([header, sealed, tag]), tag: tag.toString('base64') };
  }

  /** Opens a message of another node. Throws `StrangerError` or `ForgedMessage`. */
  open(purpose: Purpose, message: Uint8Array): OpenedMessage {
    const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
    if (bytes.length < SEAL_BYTES)
      throw new ForgedMessage(`a message of ${bytes.length} bytes is not sealed`);
    const from = nodeOf(bytes);
    const tag = bytes.subarray(bytes.length - TAG_BYTES);
    const sender = this.#senders.get(from);
    if (!sender) {
      this.#meetStranger();
      throw new StrangerError(from, tag.toString('base64'));
    }
    const data = decrypt(sender.key, purpose, bytes);
    if (!data)
      throw new ForgedMessage(`a message said to be of node ${from} was not made by it for this purpose`);
    // A reply is taken once, by the request that waits for it.
    if (!purpose.startsWith('reply')) takeOnce(sender, purpose, Number(bytes.readBigUInt64BE(NODE_BYTES)));
    return { data, from, tag: tag.toString('base64') };
  }

  #meetStranger(): void {
    if (this.#now() - this.#strangerAt < STRANGER_INTERVAL_MS) return;
    this.#strangerAt = this.#now();
    this.#onStranger();
  }
}

/** Unique under a key: each process has a key of its own, and counts its messages. */
const nonceOf = (bytes: Uint8Array): Uint8Array => {
  const nonce = new Uint8Array(NONCE_BYTES);
  nonce.set(bytes.subarray(NODE_BYTES, HEADER_BYTES), NONCE_BYTES - COUNTER_BYTES);
  return nonce;
};

const nodeOf = (bytes: Buffer): NodeId =>
  bytes.toString('hex', 0, NODE_BYTES).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');

/** Undefined if this key has not sealed it for this purpose. */
function decrypt(key: Uint8Array, purpose: Purpose, bytes: Buffer): Uint8Array | undefined {
  const end = bytes.length - TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, key, nonceOf(bytes), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(purpose)).setAuthTag(bytes.subarray(end));
  const data = decipher.update(bytes.subarray(HEADER_BYTES, end));
  try {
    decipher.final();
    return data;
  } catch {
    return undefined;
  }
}

/** Messages of one purpose arrive in the order in which they were sent. Throws `ForgedMessage` on a repeated one. */
function takeOnce({ from, last }: Sender, purpose: Purpose, counter: number): void {
  if (counter <= (last.get(purpose) ?? from)) throw new ForgedMessage('a message was sent again');
  last.set(purpose, counter);
}
