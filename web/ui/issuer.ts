import { ClientError, type User } from '@parley/client';
import { hasTexts, takeTabJson, writeTabText } from './browserStore.js';

/** Signing in by the issuer of the host application: the code flow with PKCE (RFC 7636). */

/** What the server says of the issuer. */
export interface IssuerClient {
  readonly clientId: string;
  readonly authorizationEndpoint: string;
  readonly scope: string;
}

/** How users of this server may sign in. */
export interface SignInOptions {
  readonly password: boolean;
  readonly signUp: boolean;
  readonly issuer?: IssuerClient;
}

/** The name under which users know the issuer. */
export const hostOf = ({ authorizationEndpoint }: IssuerClient): string =>
  new URL(authorizationEndpoint).hostname;

/** What this page has asked the issuer with, until it comes back. */
interface Asked {
  readonly state: string;
  readonly codeVerifier: string;
  /** `none`: the user sees nothing of it, and gets no message if the issuer has forgotten them. */
  readonly prompt: string;
  /** The part of the page's address after `#`, such as an invitation, which the issuer does not send back. */
  readonly hash: string;
}

const KEY = 'parley.issuer';
const VERIFIER_BYTES = 32;

const toBase64Url = (bytes: Uint8Array): string =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
const randomText = (): string => toBase64Url(crypto.getRandomValues(new Uint8Array(VERIFIER_BYTES)));

/** Where the issuer sends the browser back to. */
const redirectUri = (): string => location.origin + location.pathname;

const OPTIONS_WAIT_MS = 3000;
/** Where the server does not say it, the form for a password says whether the server can be reached. */
const anyWay: SignInOptions = { password: true, signUp: true };

/** What the server says by drawing the form in its page, which it does only where anybody may sign up with a password. */
export const drawnOptions = (): SignInOptions | undefined =>
  document.querySelector('#app[data-drawn]') ? anyWay : undefined;

/** How users of this server may sign in. Never rejects. */
export async function findSignInOptions(): Promise<SignInOptions> {
  try {
    const response = await fetch('/signin-options', { signal: AbortSignal.timeout(OPTIONS_WAIT_MS) });
    // The server's answer, as its document says.
    return response.ok ? ((await response.json()) as SignInOptions) : anyWay;
  } catch {
    return anyWay;
  }
}

/** The scope that every issuer knows. */
const LEAST_SCOPE = 'openid profile';

/**
 * Leaves this page for the issuer's.
 *
 * @param prompt `none`: the issuer asks the user nothing, and sends them back if they must be asked
 */
export async function goToIssuer(
  { clientId, authorizationEndpoint, scope }: IssuerClient,
  prompt: 'none' | '' = '',
): Promise<void> {
  const { hash } = location;
  const asked: Asked = { state: randomText(), codeVerifier: randomText(), prompt, hash };
  writeTabText(KEY, JSON.stringify(asked));
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(asked.codeVerifier));
  const url = new URL(authorizationEndpoint);
  const parameters = {
    ...{ response_type: 'code', scope, client_id: clientId, state: asked.state },
    ...(prompt !== '' && { prompt }),
    ...{ redirect_uri: redirectUri(), code_challenge_method: 'S256' },
    code_challenge: toBase64Url(new Uint8Array(digest)),
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  location.assign(url);
}

/**
 * The sign-in that the issuer has sent this page back with; undefined if it has not. The address is cleared of it.
 * Rejects with `unauthenticated` if the issuer, or the server, does not sign this user in.
 */
export async function finishSignIn(): Promise<{ readonly token: string; readonly user: User } | undefined> {
  const parameters = new URLSearchParams(location.search);
  const [code, state] = [parameters.get('code'), parameters.get('state')];
  const asked = takeAsked();
  if (!asked || asked.state !== state) return undefined;
  history.replaceState(null, '', location.pathname + asked.hash);
  if (parameters.get('error') === 'invalid_scope') return askForLess();
  if (!code && asked.prompt === 'none') return undefined;
  if (!code) throw new ClientError({ code: 'unauthenticated' });
  const { codeVerifier } = asked;
  const response = await fetch('/oidc/signin', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ code, codeVerifier, redirectUri: redirectUri() }),
  }).catch((cause: unknown) => {
    throw new ClientError({ code: 'disconnected' }, { cause });
  });
  if (!response.ok) throw new ClientError({ code: response.status === 401 ? 'unauthenticated' : 'internal' });
  // The server's answer, as its document says.
  return (await response.json()) as { token: string; user: User };
}

/** An issuer may know a scope and not give it to this application. */
async function askForLess(): Promise<undefined> {
  const { issuer } = await findSignInOptions();
  if (!issuer || issuer.scope === LEAST_SCOPE) throw new ClientError({ code: 'unauthenticated' });
  await goToIssuer({ ...issuer, scope: LEAST_SCOPE });
}

/** It is used once, so that another tab's answer does not fit. */
function takeAsked(): Asked | undefined {
  const asked = takeTabJson(KEY);
  return hasTexts(asked, 'state', 'codeVerifier', 'prompt', 'hash') ? asked : undefined;
}
