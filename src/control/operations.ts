import { join } from 'node:path';
import { z } from 'zod';

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
