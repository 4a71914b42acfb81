import { Egress } from '../base/egress.js';
import { BoundedLog } from '../base/rateLimits.js';
import { HostUsers } from '../host/hostUsers.js';
import { Issuer } from '../host/issuer.js';
import { IssuerKeys } from '../host/issuerKeys.js';
import { IssuerSessions } from '../host/issuerSessions.js';
import { presentUser, standingOf } from '../http/auth.js';
import type { SessionStore } from '../vault/vault.js';
import type { Host } from './lifecycle.js';
import type { Parts } from './phases.js';

/** The users of the host application, and the tokens of its issuer. */
export interface Identity {
  readonly users: HostUsers;
  /** Undefined without `OIDC_ISSUER`. */
  readonly issuer: { readonly sessions: IssuerSessions; readonly keys: IssuerKeys } | undefined;
  /** The vault's sessions, with those of the issuer's tokens. */
  readonly sessions: SessionStore;
}

/** Prepares the identity of the host application. Nothing is asked of the issuer before its first token. */
export function prepareIdentity(
  { config, logger }: Host,
  { stores, reads, membership }: Pick<Parts, 'stores' | 'reads'> & Pick<Parts, 'membership'>,
): Identity {
  const { vault, engine } = stores;
  const { commands } = membership;
  const users = new HostUsers({ vault, commands, links: vault.hostLinks });
  const { OIDC_ISSUER: issuer, OIDC_AUDIENCE: audience, EGRESS_ALLOW, SESSION_TTL } = config;
  if (issuer === undefined || audience === undefined)
    return { users, issuer: undefined, sessions: vault.sessions };
  const keys = new IssuerKeys(issuer, new Egress(EGRESS_ALLOW));
  const present = presentUser({
    ...{ log: engine.log, queries: reads.queries },
    progress: reads.projections.progress,
  });
  const sessions = new IssuerSessions({
    issuer: new Issuer({ issuer, audience, keys }),
    sessions: vault.sessions,
    links: vault.hostLinks,
    users,
    rules: {
      lifetimeMs: SESSION_TTL,
      standingOf: (userId) => standingOf(present, userId),
      lines: new BoundedLog(logger),
    },
  });
  return { users, issuer: { sessions, keys }, sessions: sessions.store };
}
