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

export async function startRealIssuer(): Promise<RealIssuer> {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`; // It listens on a port.
  return {
    url,
    settings: {
      ...{ OIDC_ISSUER: url, OIDC_AUDIENCE: 'parley', OIDC_CLIENT_ID: 'parley' },
      EGRESS_ALLOW: '127.0.0.0/8',
    },
    serve: (application) => void listener.on('request', newProvider(url, application).callback()),
    close: () => {
      listener.closeAllConnections();
      listener.close();
    },
  };
}

const newProvider = (url: string, { redirectUri, server }: IssuerApplication): Provider =>
  new Provider(url, {
    clients: [
      {
        client_id: 'parley',
        token_endpoint_auth_method: 'none',
        application_type: 'native',
        redirect_uris: [redirectUri],
        backchannel_logout_uri: `${server}/oidc/logout`,
        backchannel_logout_session_required: true,
      },
    ],
    features: { backchannelLogout: { enabled: true }, devInteractions: { enabled: true } },
    conformIdTokenClaims: false,
    claims: { openid: ['sub', 'sid'], profile: ['name', 'preferred_username'] },
    findAccount: (_, sub) => ({
      accountId: sub,
      claims: () => ({ sub, name: 'Ada L.', preferred_username: `name-${sub.slice(0, 8)}` }),
    }),
    cookies: { keys: ['a key of this test'] },
    // Its own refuses loopback addresses, where the server under test listens.
    fetch: (to, options = {}) => fetch(to, withoutDispatcher(options)),
  });
