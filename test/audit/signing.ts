import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import type { CheckedPartition } from '../../src/audit/verify/report.js';

/** A signer of heads that follows only C2SP signed-note and tlog-checkpoint, not the product. */
export class Signer {
  readonly #key = generateKeyPairSync('ed25519');

  constructor(readonly origin: string) {}

  /** The verifier key of a partition. */
  key(partition: number): string {
    return `${this.#name(partition)}+${this.#id(partition).toString('hex')}+${this.#public.toString('base64')}`;
  }

  /** A signed head of this number of events. */
  head({ partition, events, root, commits, hash }: Omit<CheckedPartition, 'until'>): string {
    const text = `${this.#name(partition)}\n${events}\n${root}\ncommit ${commits} ${hash}\n`;
    const signature = Buffer.concat([
      this.#id(partition),
      sign(null, Buffer.from(text), this.#key.privateKey),
    ]);
    return `${text}\n— ${this.#name(partition)} ${signature.toString('base64')}\n`;
  }

  #name(partition: number): string {
    return `${this.origin}/${partition}`;
  }

  #id(partition: number): Buffer {
    const hash = createHash('sha256')
      .update(`${this.#name(partition)}\n`)
      .update(this.#public);
    return hash.digest().subarray(0, 4);
  }

  get #public(): Buffer {
    const { x = '' } = this.#key.publicKey.export({ format: 'jwk' });
    return Buffer.concat([Buffer.from([1]), Buffer.from(x, 'base64url')]);
  }
}
