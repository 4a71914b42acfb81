import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Argument, type Command } from 'commander';
import { type ErasureList, makeBackup, readErasures, writeErasures } from '../app/backup.js';
import { isControlServed, remoteOperator } from '../app/controlSocket.js';
import { DataDirInUse } from '../app/dataDir.js';
import type { ShownSubscription } from '../app/hostOperations.js';
import { createLogger, LogOutput } from '../app/logOutput.js';
import { engineOf } from '../app/openStores.js';
import { type Accepted, controlSocketOf, type Operator } from '../app/operator.js';
import type { RestoreStep } from '../app/restore.js';
import type { SystemOptions } from '../app/system.js';
import { openAuditedLog } from '../audit/storedRows.js';
import { assertNever, messageOf } from '../base/errors.js';
import { type Config, readConfig } from '../base/settings.js';
import { ROLES, type Role } from '../domain/streams.js';
import { projectionNames } from '../projections/allProjections.js';
import { count, parseId, parsePartition, printLine } from './commandLine.js';

/** A server that starts or stops holds the directory's lock but takes no operations yet: this is how long to wait. */
const WAIT_FOR_SERVER_MS = 20_000;
const RETRY_EVERY_MS = 200;

/**
 * Runs the work with the server in the data directory. If none runs, starts a system without clients and stops it
 * after the work. Creates no log. Throws the errors of the start and of the work.
 */
export async function withOperator<T>(
  config: Config,
  work: (operator: Operator) => Promise<T>,
  options: SystemOptions = {},
): Promise<T> {
  const path = controlSocketOf(config.DATA_DIR);
  const giveUpAt = performance.now() + WAIT_FOR_SERVER_MS;
  for (;;) {
    if (await isControlServed(path)) return work(remoteOperator(path));
    const source = await openAuditedLog(engineOf(config));
    await source.close();
    try {
      return await withOwnSystem(config, work, options);
    } catch (error) {
      if (!(error instanceof DataDirInUse) || performance.now() > giveUpAt) throw error;
      await delay(RETRY_EVERY_MS);
    }
  }
}

async function withOwnSystem<T>(
  config: Config,
  work: (operator: Operator) => Promise<T>,
  options: SystemOptions,
): Promise<T> {
  const logger = createLogger(new LogOutput(2), 'error');
  // Loaded only here: the server with all that it needs takes longer to load than most commands to run.
  const [{ startSystem }, { exitOn }] = await Promise.all([
    import('../app/system.js'),
    import('../app/serve.js'),
  ]);
  const system = await startSystem(config, logger, exitOn(logger), { ...options, isServing: false });
  try {
    return await work(system.operator);
  } finally {
    await system.stop();
  }
}

export function addRole(program: Command, env: NodeJS.ProcessEnv): void {
  program
    .command('role')
    .description(
      'give a user a role, or take it away: an auditor may read the whole log, a moderator decides reports and suspensions, an admin also manages users; each read and decision is recorded',
    )
    .addArgument(new Argument('<role>', 'the role').choices(ROLES))
    .argument('<username>', 'the name of a user who has signed up')
    .option('--remove', 'take the role away')
    .action(async (role: Role, username: string, { remove = false }: { remove?: boolean }) => {
      const { changed } = await withOperator(readConfig(env), (operator) =>
        operator.role({ username, role, give: !remove }),
      );
      const noun = `${role === 'moderator' ? 'a' : 'an'} ${role}`;
      if (remove) printLine(`${username} is ${changed ? 'no longer' : 'not'} ${noun}`);
      else printLine(`${username} is ${changed ? `${noun} now` : `already ${noun}`}`);
    });
}

export function addMessage(program: Command, env: NodeJS.ProcessEnv): void {
  program
    .command('message')
    .description('moderate messages')
    .command('delete')
    .description(
      'delete a message: its members see that it is gone, and the key of its text is destroyed permanently; the log still proves that the message was there',
    )
    .argument('<roomId>', 'the room', parseId)
    .argument('<messageId>', 'the message', parseId)
    .action(async (roomId: string, messageId: string) => {
      const { changed } = await withOperator(readConfig(env), (operator) =>
        operator.deleteMessage({ roomId, messageId }),
      );
      printLine(
        `message ${messageId} is ${changed ? 'deleted' : 'already deleted'}, and its text is destroyed`,
      );
    });
}

export function addRebuild(program: Command, env: NodeJS.ProcessEnv): void {
  program
    .command('rebuild')
    .description(
      'rebuild a projection from the log; the system keeps running, and reads the old table until the new one is ready',
    )
    .addArgument(new Argument('<projection>', 'the name of the projection').choices(projectionNames))
    .action(async (projection: string) => {
      await withOperator(readConfig(env), (operator) => operator.rebuild({ projection }));
      printLine(`${projection} is rebuilt and in use`);
    });
}

export function addBackup(program: Command, env: NodeJS.ProcessEnv): void {
  program
    .command('backup')
    .description(
      'copy the embedded system in DATA_DIR, which may run meanwhile, into an empty or new directory, or write the list of erasures and deletions; the master key is never copied',
    )
    .argument('[dir]', 'the directory for the copy')
    .option('--erasures <file>', 'write the list, without texts and names, in place of an earlier one')
    .action(async (dir: string | undefined, { erasures: file }: { erasures?: string }, command: Command) => {
      if (dir === undefined && file === undefined)
        command.error('error: name a directory for the copy, or --erasures <file>');
      const config = readConfig(env);
      if (dir !== undefined) {
        const { events, until } = await makeBackup(config, dir);
        printLine(`${events} events until ${until} are in ${dir}`);
        printLine(
          'the master key is not in it: keep master.key or MASTER_KEY apart, as without it nothing can be read',
        );
        printLine(
          'next: run parley backup --erasures <file> often; parley restore <dir> --erasures <file> then erases again what was erased after this backup',
        );
      }
      if (file !== undefined) {
        const { users, messages } = await writeErasures(config, file);
        printLine(
          `${file} lists what was erased (users: ${users.length}) and deleted (messages: ${messages.length})`,
        );
      }
    });
}

interface RestoreOptions {
  readonly here?: boolean;
  readonly erasures?: string;
}

export function addRestore(program: Command, env: NodeJS.ProcessEnv): void {
  program
    .command('restore')
    .description(
      'put a backup into an empty DATA_DIR, and begin a new history: cursors of the lost history are refused from then on, and clients begin anew',
    )
    .argument('[dir]', 'a directory that parley backup has made')
    .option('--here', 'for data that was put back into DATA_DIR or MONGO_URL already, while no server runs')
    .option('--erasures <file>', 'erase and delete again what this list of parley backup names')
    .action(async (dir: string | undefined, options: RestoreOptions, command: Command) => {
      const { here = false, erasures: list } = options;
      if ((dir !== undefined) === here)
        command.error('error: name the directory of a backup, or --here for data that lies there already');
      const config = readConfig(env);
      await (dir === undefined ? restoreHere(config, list) : restoreBackup(config, dir, list));
      printLine('the log records the new history as HistoryBegun; start the servers');
    });
}

async function restoreHere(config: Config, list: string | undefined): Promise<void> {
  let erasures: ErasureList | undefined;
  if (list !== undefined) {
    const source = await openAuditedLog(engineOf(config));
    await source.close();
    erasures = readErasures(list, source.id);
  }
  const { beginHistory } = await import('../app/restore.js');
  const { DATA_DIR, MONGO_URL } = config;
  const place = MONGO_URL === undefined ? `DATA_DIR (${resolve(DATA_DIR)})` : 'the database of MONGO_URL';
  await beginHistory(config, (step) => {
    printLine(step.kind === 'read models deleted' ? `${place}: ${describeStep(step)}` : describeStep(step));
  });
  await withOperator(config, (operator) => recordRestore(operator, erasures), { onAccepted }).catch(
    (cause: unknown) => {
      const why = messageOf(cause);
      throw new Error(`the new history is not recorded yet (${why}); run parley restore --here again`, {
        cause,
      });
    },
  );
}

async function restoreBackup(config: Config, dir: string, list: string | undefined): Promise<void> {
  const { beginHistory, stageBackup } = await import('../app/restore.js');
  const staged = await stageBackup(config, dir, list);
  const { events, until, erasures } = staged;
  try {
    await beginHistory(staged.config, (step) => {
      if (step.kind !== 'read models deleted') printLine(describeStep(step));
    });
    await withOwnSystem(staged.config, (operator) => recordRestore(operator, erasures), { onAccepted });
    staged.finish();
  } catch (error) {
    staged.abandon();
    throw error;
  }
  if (erasures === undefined)
    printLine(
      'no list of erasures was given: what was erased or deleted after the backup was made can be read again',
    );
  printLine(`${events} events until ${until} are put back into ${resolve(config.DATA_DIR)}`);
}

/** Records the new history, and erases again what the log or the list says, so that nobody is served before. */
async function recordRestore(operator: Operator, list: ErasureList | undefined): Promise<void> {
  const { repeated } = await operator.recordHistory({});
  if (repeated > 0) printLine(`${repeated} erasures and deletions that the log had lost are recorded again`);
  const { users, messages } = await operator.eraseAgain({
    users: [...(list?.users ?? [])],
    messages: [...(list?.messages ?? [])],
  });
  if (list !== undefined)
    printLine(
      `${users} of ${list.users.length} users and ${messages} of ${list.messages.length} messages of the list are erased and deleted again; the others were already, or are not in the log. The list is of ${list.madeAt}: what was erased or deleted after that can be read again`,
    );
}

function onAccepted(accepted: readonly Accepted[]): void {
  for (const { partition, size } of accepted)
    printLine(
      `partition ${partition} lacked events that were signed; its present ${size} events are signed instead, and witnesses will notice`,
    );
}

function describeStep(step: RestoreStep): string {
  switch (step.kind) {
    case 'read models deleted':
      return 'the read models are deleted; the next start folds them from the log';
    case 'generation begun':
      return `generation ${step.generation} of text keys began; new texts do not depend on keys that were destroyed`;
    case 'history begun':
      return `history ${step.history} began; cursors, revisions and pages of before are refused, and clients begin anew`;
    default:
      return assertNever(step);
  }
}

export function addAccept(audit: Command, env: NodeJS.ProcessEnv): void {
  audit
    .command('accept')
    .description(
      'continue with a log that does not extend its last signed head, such as one restored from a backup: signs its present head in place of that one',
    )
    .argument(
      '<partition>',
      'the number of the partition, which the server writes to its log',
      parsePartition,
    )
    .action(async (partition: number) => {
      const { size } = await withOperator(readConfig(env), (operator) => operator.accept({ partition }));
      printLine(`partition ${partition} is accepted as it is, with ${count(size, 'event')}`);
    });
}

/** A subscription on one line: id, URL without its query, how far it is behind, and what is wrong. */
function subscriptionLine({ id, url, lagEvents, lagSeconds, failing, paused }: ShownSubscription): string {
  const lag =
    lagEvents === 0
      ? 'up to date'
      : `${count(lagEvents, 'event')} behind, the oldest of ${Math.round(lagSeconds)} s ago`;
  const failure = failing
    ? [`failing since ${failing.since} with ${failing.status}, next try at ${failing.next}`]
    : [];
  return [id, url, lag, ...failure, ...(paused ? ['paused'] : [])].join('  ');
}

/** Subscriptions of the host's server, which makes and changes them over REST. */
export function addSubscription(program: Command, env: NodeJS.ProcessEnv): void {
  program
    .command('subscription')
    .description('see how far the subscriptions of the host application are; docs/webhooks.md explains them')
    .command('list')
    .description(
      'print each subscription on one line: how far it is behind, and whether it fails or is paused',
    )
    .action(async () => {
      const { subscriptions } = await withOperator(readConfig(env), (operator) =>
        operator.listSubscriptions({}),
      );
      for (const one of subscriptions) printLine(subscriptionLine(one));
    });
}
