import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { Heads } from '../audit/proof/heads.js';
import { notFound, ParleyError } from '../base/errors.js';
import type { CommandRouter } from '../domain/commands.js';
import type { Projections } from '../projections/startProjections.js';
import type { CredentialStore, SigningKeys } from '../vault/vault.js';

/** What an operator can ask of a system, by name: the fields of what is asked, and of the answer. */
export const operations = {
  /** Gives or takes the role `auditor`. `not_found`: nobody has this name. */
  role: {
    asked: z.strictObject({ username: z.string(), isAuditor: z.boolean() }),
    answer: z.strictObject({ changed: z.boolean() }),
  },
  /** Answers when later reads are of the new table, and the old one is gone. `not_found`, or `conflict` with another. */
  rebuild: {
    asked: z.strictObject({ projection: z.string() }),
    answer: z.strictObject({}),
  },
  /** Gives the signed head of a partition up for one of the log as it is now. `not_found`: there is no such partition. */
  accept: {
    asked: z.strictObject({ partition: z.int().min(0) }),
    answer: z.strictObject({ size: z.int() }),
  },
  /** Heads are signed with a new key from now on. The verifier keys there are then, the new ones first. */
  rotateKey: {
    asked: z.strictObject({}),
    answer: z.strictObject({ keys: z.array(z.string()) }),
  },
} as const;

type Operations = typeof operations;
export type OperationName = keyof Operations;
export type Asked<N extends OperationName> = z.infer<Operations[N]['asked']>;
export type Answered<N extends OperationName> = z.infer<Operations[N]['answer']>;

/** Does them, in this process or by asking another. Rejects with a `ParleyError`; `unknown`: it may have happened. */
export type Operator = {
  readonly [N in OperationName]: (asked: Asked<N>) => Promise<Answered<N>>;
};

/** Where the process that has this data directory takes them. */
export const controlSocketOf = (dataDir: string): string => join(dataDir, 'control.sock');

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
