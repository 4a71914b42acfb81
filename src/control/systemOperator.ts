import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Heads } from '../audit/heads.js';
import type { CommandRouter } from '../commands/commands.js';
import { notFound, ParleyError } from '../errors.js';
import type { Projections } from '../projections/host.js';
import type { CredentialStore, SigningKeys } from '../vault/vault.js';
import type { Operator } from './operations.js';

/** A partition that was just taken over takes no commands for about a lease; longer is an outage. */
const PATIENCE_MS = 30_000;
const RETRY_MS = 250;

interface OperatedParts {
  readonly credentials: Pick<CredentialStore, 'find'>;
  readonly commands: CommandRouter;
  readonly projections: Pick<Projections, 'rebuild'>;
  readonly heads: Pick<Heads, 'accept' | 'keys'>;
  readonly signing: Pick<SigningKeys, 'rotate'>;
  readonly partitions: number;
}

/** Operates the system that runs in this process. */
export function systemOperator(parts: OperatedParts): Operator {
  const { credentials, commands, projections, heads, signing, partitions } = parts;
  return {
    async role({ username, isAuditor }) {
      const found = await credentials.find(username);
      if (found === undefined || found === 'erased') throw notFound(`there is no user ${username}`);
      const { userId } = found;
      const commandId = randomUUID();
      const { changed } = await patiently(() =>
        isAuditor
          ? commands.execute<'appoint auditor'>({ kind: 'appoint auditor', userId }, commandId)
          : commands.execute<'dismiss auditor'>({ kind: 'dismiss auditor', userId }, commandId),
      );
      return { changed };
    },
    async rebuild({ projection }) {
      await projections.rebuild(projection);
      return {};
    },
    async accept({ partition }) {
      if (partition >= partitions) throw notFound(`there is no partition ${partition}`);
      const { size } = await heads.accept(partition);
      return { size };
    },
    async rotateKey() {
      await signing.rotate();
      return { keys: await heads.keys() };
    },
  };
}

/** Tries again, for a while, what was not done or may not have been done; it must be such as may be repeated. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  const giveUpAt = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const mayPass = error instanceof ParleyError && ['overloaded', 'unknown'].includes(error.code);
      if (!mayPass || performance.now() > giveUpAt) throw error;
      await delay(RETRY_MS);
    }
  }
}
