import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto';

/** Of an Ed25519 public key in a verifier key and in its id (C2SP signed-note). */
export const ED25519 = 1;

/** Four bytes before each signature: they tell which key of that name has made it. `key`: the type's byte and the public key. */
export const keyIdOf = (name: string, key: Buffer): Buffer =>
  createHash('sha256').update(`${name}\n`).update(key).digest().subarray(0, 4);

/** What verifies the notes that `key`, an Ed25519 private key, signs under this name: a line such as `name+1234abcd+AbC…`. */
export function verifierKey(name: string, key: KeyObject): string {
  const bytes = publicBytes(key);
  return `${name}+${keyIdOf(name, bytes).toString('hex')}+${bytes.toString('base64')}`;
}

/** Signs a text that ends with a line break, as C2SP signed-note says. */
export function signNote(text: string, name: string, key: KeyObject): string {
  const signature = Buffer.concat([keyIdOf(name, publicBytes(key)), sign(null, Buffer.from(text), key)]);
  return `${text}\n— ${name} ${signature.toString('base64')}\n`;
}

function publicBytes(key: KeyObject): Buffer {
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' });
  return Buffer.concat([Buffer.from([ED25519]), Buffer.from(x, 'base64url')]);
}
