import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTHeaderParameters,
  SignJWT,
} from 'jose';

/** A key of an issuer. */
export interface IssuerKey {
  readonly alg: string;
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

export async function newIssuerKey(alg = 'ES256', options: { crv?: string } = {}): Promise<IssuerKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true, ...options });
  const kid = randomUUID();
  return { alg, kid, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

/** JSON leaves out what is undefined. */
type Claims = { readonly [claim: string]: unknown; readonly iat?: number; readonly exp?: number };

/** An issuer of tokens, with discovery and a set of keys, on a port of its own. It signs whatever a test asks for. */
export class FakeIssuer {
  keys: JWK[] = [];
  /** How often the set of keys was asked for. */
  reads = 0;
  /** What it answers with while it is down. */
  status = 200;
  #server: Server;
  #port = 0;

  private constructor(readonly key: IssuerKey) {
    this.keys = [key.publicJwk];
    this.#server = createServer(({ url }, response) => {
      const issuer = this.url;
      if (url === '/keys') this.reads++;
      const body = url === '/keys' ? { keys: this.keys } : { issuer, jwks_uri: `${issuer}/keys` };
      response.writeHead(this.status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  }

  static async start(): Promise<FakeIssuer> {
    const issuer = new FakeIssuer(await newIssuerKey());
    await new Promise<void>((resolve) => issuer.#server.listen(0, '127.0.0.1', resolve));
    issuer.#port = (issuer.#server.address() as AddressInfo).port; // It listens on a port.
    return issuer;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** With these a server takes its tokens. */
  get settings(): Readonly<Record<string, string>> {
    return { OIDC_ISSUER: this.url, OIDC_AUDIENCE: 'parley', EGRESS_ALLOW: '127.0.0.0/8' };
  }

  /** A token that is good, but for what `claims` and `header` say. Times are in seconds from now. */
  async token(
    claims: Claims = {},
    { key = this.key, header = {} }: { key?: IssuerKey; header?: Partial<JWTHeaderParameters> } = {},
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const { iat = 0, exp = 300, ...rest } = claims;
    const payload = { iss: this.url, aud: 'parley', sub: 'somebody', jti: randomUUID(), ...rest };
    return new SignJWT({ ...payload, iat: now + iat, exp: now + exp })
      .setProtectedHeader({ alg: key.alg, kid: key.kid, ...header })
      .sign(key.privateKey);
  }

  logoutToken(claims: Claims, options?: Parameters<FakeIssuer['token']>[1]): Promise<string> {
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
    return this.token({ sub: undefined, events, ...claims }, { header: { typ: 'logout+jwt' }, ...options });
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}
