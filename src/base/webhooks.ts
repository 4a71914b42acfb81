import { createHmac, randomBytes } from 'node:crypto';

/** Signatures by the Standard Webhooks specification 1.0, symmetric: `v1`, HMAC-SHA256. */

const PREFIX = 'whsec_';
const SECRET_BYTES = { made: 32, min: 24, max: 64 } as const;

/** Makes a secret: `whsec_` and 32 random bytes in base64. */
export const newSigningSecret = (): string => PREFIX + randomBytes(SECRET_BYTES.made).toString('base64');

/** The bytes of a secret; undefined for a text that is none. */
function secretBytes(secret: string): Buffer | undefined {
  if (!secret.startsWith(PREFIX)) return undefined;
  const text = secret.slice(PREFIX.length);
  const bytes = Buffer.from(text, 'base64');
  const isBase64 = bytes.toString('base64').replace(/=+$/, '') === text.replace(/=+$/, '');
  return isBase64 && bytes.length >= SECRET_BYTES.min && bytes.length <= SECRET_BYTES.max ? bytes : undefined;
}

/** Whether a text is a secret: `whsec_` and 24 to 64 bytes in base64. */
export const isSigningSecret = (text: string): boolean => secretBytes(text) !== undefined;

/** What is sent: `id` is the same in every try. */
export interface Outgoing {
  readonly id: string;
  readonly body: string;
}

/** The headers of a message that is sent at `now` and signed with each of these secrets. Throws for one that is none. */
export function signedHeaders(
  { id, body }: Outgoing,
  secrets: readonly string[],
  now: Date,
): Record<string, string> {
  const timestamp = String(Math.floor(now.getTime() / 1000));
  const signatures = secrets.map((secret) => {
    const key = secretBytes(secret);
    if (key === undefined) throw new TypeError('a secret that signs is whsec_ and 24 to 64 bytes in base64');
    const mac = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
    return `v1,${mac}`;
  });
  return {
    'content-type': 'application/json',
    'user-agent': 'Parley',
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}
