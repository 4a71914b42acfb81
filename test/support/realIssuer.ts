import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Provider } from 'oidc-provider';

function withoutDispatcher(options: RequestInit): RequestInit {
  const { dispatcher: _, ...rest } = options as RequestInit & { readonly dispatcher?: unknown }; // Node's own field.
  return rest;
}

/** What an issuer knows of the application that signs in by it. */
export interface IssuerApplication {
  readonly redirectUri: string;
  /** Where Parley listens. */
  readonly server: string;
}

/** An issuer of another maker (`oidc-provider`), which takes any name with any password. */
export interface RealIssuer {
  readonly url: string;
  /** With these a server signs in by it. */
  readonly settings: Readonly<Record<string, string>>;
  /** It answers nothing before. */
  serve(application: IssuerApplication): void;
  close(): void;
}

/** What an issuer gives beside an id token. */
export interface IssuerGifts {
  /** The seconds that an id token lasts. */
  readonly idTokenSeconds?: number;
  /** It gives refresh tokens, each to be used once. */
  readonly refreshes?: boolean;
  /** It gives a token to a page of a user whom it knows, without asking. */
  readonly isSilent?: boolean;
}

export async function startRealIssuer(gifts: IssuerGifts = {}): Promise<RealIssuer> {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`; // It listens on a port.
  return {
    url,
    settings: {
      ...{ OIDC_ISSUER: url, OIDC_AUDIENCE: 'parley', OIDC_CLIENT_ID: 'parley' },
      EGRESS_ALLOW: '127.0.0.0/8',
    },
    serve: (application) => void listener.on('request', newProvider(url, application, gifts).callback()),
    close: () => {
      listener.closeAllConnections();
      listener.close();
    },
  };
}

const newProvider = (
  url: string,
  { redirectUri, server }: IssuerApplication,
  { idTokenSeconds, refreshes = false, isSilent = false }: IssuerGifts,
): Provider =>
  new Provider(url, {
    clients: [
      {
        client_id: 'parley',
        token_endpoint_auth_method: 'none',
        // It asks the users of native applications each time.
        application_type: isSilent ? 'web' : 'native',
        grant_types: ['authorization_code', ...(refreshes ? ['refresh_token'] : [])],
        redirect_uris: [redirectUri],
        backchannel_logout_uri: `${server}/oidc/logout`,
        backchannel_logout_session_required: true,
      },
    ],
    features: { backchannelLogout: { enabled: true }, devInteractions: { enabled: true } },
    conformIdTokenClaims: false,
    // Many issuers give them without the scope `offline_access`, bound to the session of the user there.
    issueRefreshToken: async () => refreshes,
    rotateRefreshToken: true,
    ...(idTokenSeconds !== undefined && { ttl: { IdToken: idTokenSeconds } }),
    claims: { openid: ['sub', 'sid'], profile: ['name', 'preferred_username'] },
    findAccount: (_, sub) => ({
      accountId: sub,
      claims: () => ({ sub, name: 'Ada L.', preferred_username: `name-${sub.slice(0, 8)}` }),
    }),
    cookies: { keys: ['a key of this test'] },
    // Its own refuses loopback addresses, where the server under test listens.
    fetch: (to, options = {}) => fetch(to, withoutDispatcher(options)),
  });
