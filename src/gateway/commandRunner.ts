import { randomUUID } from 'node:crypto';
import { isOutage, outcomeUnknown, ParleyError } from '../base/errors.js';
import {
  type Answer,
  type CommandKind,
  type CommandOf,
  type CommandRouter,
  commandDeclaration,
  type Moment,
} from '../domain/commands.js';
import type { RequestAnswer, RequestData, RequestName } from '../domain/contract.js';
import type { UserId } from '../domain/ids.js';
import type { Connection } from './connection.js';
import type { Cursors, FanoutProgress } from './cursor.js';
import type { Hub } from './openConnections.js';

/** Answers one request of an identified connection. Any error but a `ParleyError` is sent as `internal`. */
export type Handler<N extends RequestName> = (
  connection: Connection,
  me: UserId,
  data: RequestData<N>,
) => Promise<RequestAnswer<N>>;

export type Handlers = { readonly [N in Exclude<RequestName, 'identity'>]: Handler<N> };

/**
 * Completes the answer of a command that has been done. If a store fails, rejects with `unknown`, and a repeat gets
 * the answer. `overloaded` would say that nothing was done.
 */
export async function completeAnswer<T>(rest: () => Promise<T>): Promise<T> {
  try {
    return await rest();
  } catch (error) {
    const isLate = isOutage(error) || (error instanceof ParleyError && error.code === 'overloaded');
    if (isLate) throw outcomeUnknown('the command was done, but its answer cannot be read; repeat it', error);
    throw error;
  }
}

export interface CommandRunnerDeps {
  readonly router: CommandRouter;
  readonly hub: Hub;
  /** The progress of this node's fan-out. */
  readonly fanout: FanoutProgress;
  readonly cursors: Cursors;
  /** Resolves when the keys of all texts are destroyed that the log deletes before the moment. */
  readonly destroyed: (moment: Moment) => Promise<void>;
}

/** Runs commands of connections. Their pushes are not sent to the connection that sent the command. */
export class CommandRunner {
  /** Writes the revision that a command's answer carries. */
  readonly cursors: Cursors;

  /** See `CommandRunnerDeps.destroyed`. */
  readonly destroyed: CommandRunnerDeps['destroyed'];

  constructor(private readonly deps: CommandRunnerDeps) {
    this.cursors = deps.cursors;
    this.destroyed = deps.destroyed;
  }

  /** Resolves when the command is durable; the connection's later queries include it. */
  async run<K extends CommandKind>(connection: Connection, command: CommandOf<K>): Promise<Answer<K>> {
    const { router, hub, fanout } = this.deps;
    const id = randomUUID();
    // Exact lists: an array that grows by `push` reserves 17 places.
    connection.commandIds = connection.commandIds ? [...connection.commandIds, id] : [id];
    const forget = () => {
      const left = connection.commandIds?.filter((one) => one !== id);
      connection.commandIds = left && left.length > 0 ? left : undefined;
    };
    let answer: Answer<K>;
    try {
      answer = await router.execute<K>(command, id);
    } catch (error) {
      forget();
      throw error;
    }
    const { partition, size } = answer.moment;
    // The fan-out may still wait for a name. Until it is done, remember which connection sent the command.
    if ((fanout.vector[partition] ?? 0) >= size) forget();
    else void fanout.reached(partition, size).promise.then(forget);
    connection.recordSeen(partition, size);
    // The fan-out applies it too, but may be late. A request after the answer must find it.
    const tie = commandDeclaration(command.kind).tie?.(command, answer);
    if (tie) hub.applyTie(tie);
    return answer;
  }
}
