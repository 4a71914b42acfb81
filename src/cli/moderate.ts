import type { Command } from 'commander';
import { readConfig } from '../base/settings.js';
import { textOf } from '../domain/fields.js';
import { PAGE_ROWS, REASON_CODE_POINTS } from '../domain/limits.js';
import { Note } from '../domain/moderation/reports.js';
import type { AdministeredUser } from '../http/administration.js';
import { count, parseAs, parseId, printLine } from './commandLine.js';
import { withOperator } from './operate.js';

const parseNote = parseAs(Note);
const addId = (id: string, before: readonly string[] = []): string[] => [...before, parseId(id)];

interface DecisionOptions {
  readonly delete?: string[];
  readonly suspend?: true;
}

/** Reports of users, decided by the operator in place of a moderator. */
export function addReport(program: Command, env: NodeJS.ProcessEnv): void {
  const report = program.command('report').description('list, show and decide the reports of users');
  report
    .command('list')
    .description(
      'print the open reports, oldest first, as JSON lines; with --closed the decided ones, newest first',
    )
    .option('--closed', 'print the decided reports')
    .action(async ({ closed = false }: { closed?: boolean }) => {
      const state = closed ? 'closed' : 'open';
      await withOperator(readConfig(env), async (operator) => {
        for (let next: string | undefined, more = true; more; more = next !== undefined) {
          const page = await operator.listReports({ state, ...(next === undefined ? {} : { next }) });
          for (const one of page.reports) printLine(JSON.stringify(one));
          next = page.next;
        }
      });
    });
  report
    .command('show')
    .description(
      'print a report as JSON, with the reported messages and the 5 before and after each; the log does not record what an operator reads',
    )
    .argument('<reportId>', 'the report', parseId)
    .action(async (reportId: string) => {
      const shown = await withOperator(readConfig(env), (operator) => operator.showReport({ reportId }));
      printLine(JSON.stringify(shown, null, 2));
    });
  report
    .command('decide')
    .description(
      'close a report, and destroy the texts that it kept; repeat the same decision after a failure, to finish it',
    )
    .argument('<reportId>', 'the report', parseId)
    .requiredOption('--note <text>', 'the reason, for the log', parseNote)
    .option('--delete <messageId>', 'delete this message of the report; may be repeated', addId)
    .option('--suspend', 'suspend the reported user, else the one sender of all reported messages')
    .action(async (reportId: string, { note, ...decision }: { note: string } & DecisionOptions) => {
      await withOperator(readConfig(env), (operator) =>
        operator.decideReport({ reportId, note, ...decision }),
      );
      const { delete: ids, suspend } = decision;
      const done = [
        ids ? `${ids.length} of its messages ${ids.length === 1 ? 'is' : 'are'} deleted` : [],
        suspend ? 'the user is suspended' : [],
      ].flat();
      printLine([`report ${reportId} is decided`, ...done].join(', and '));
    });
}

const parseReason = parseAs(textOf(REASON_CODE_POINTS));
const REASON = ['--reason <text>', 'why: it is in the log, sealed', parseReason] as const;
const NAME = ['<username>', 'the name of a user who has signed up'] as const;

export function addUser(program: Command, env: NodeJS.ProcessEnv): void {
  const user = program.command('user').description('manage users; each decision is in the log');
  for (const add of [addList, addSuspend, addRestore, addResetPassword, addErase, addSessions])
    add(user, env);
}

/** A user on one line: name, id, sign-up, last seen, open sessions, roles, and what else is to be known. */
function userLine({ user, isOnline, lastSeen, lastActive, sessions, roles }: AdministeredUser): string {
  const active = lastActive === undefined ? '' : `, active ${lastActive}`;
  const seen = isOnline ? 'online' : (lastSeen ?? `never connected${active}`);
  const marks = [...roles, ...(user.suspended ? ['suspended'] : []), ...(user.erased ? ['erased'] : [])];
  const { displayName } = user;
  const name = user.username ?? '-';
  return [
    displayName === undefined ? name : `${name} (${displayName})`,
    user.userId,
    user.createdAt,
    seen,
    count(sessions, 'session'),
    marks.join(', ') || '-',
  ].join('\t');
}

function addList(user: Command, env: NodeJS.ProcessEnv): void {
  user
    .command('list')
    .description('print all users, or those with this part in a name, a line each')
    .argument('[part]', 'any part of a user name or display name')
    .action(async (q: string | undefined) => {
      await withOperator(readConfig(env), async (operator) => {
        for (let next: string | undefined, more = true; more; more = next !== undefined) {
          const page = { limit: PAGE_ROWS.max, ...(q === undefined ? {} : { q }) };
          const found = await operator.listUsers({ ...page, ...(next === undefined ? {} : { next }) });
          for (const one of found.users) printLine(userLine(one));
          next = found.next;
        }
      });
    });
}

function addSuspend(user: Command, env: NodeJS.ProcessEnv): void {
  user
    .command('suspend')
    .description('end all sessions of a user, and refuse their sign-ins; their messages stay')
    .argument(...NAME)
    .requiredOption(...REASON)
    .action(async (username: string, { reason }: { reason: string }) => {
      const { changed } = await withOperator(readConfig(env), (operator) =>
        operator.suspendUser({ username, reason }),
      );
      printLine(`${username} is ${changed ? 'suspended now' : 'already suspended'}`);
    });
}

function addRestore(user: Command, env: NodeJS.ProcessEnv): void {
  user
    .command('restore')
    .description('end the suspension of a user')
    .argument(...NAME)
    .requiredOption(...REASON)
    .action(async (username: string, { reason }: { reason: string }) => {
      const { changed } = await withOperator(readConfig(env), (operator) =>
        operator.restoreUser({ username, reason }),
      );
      printLine(`${username} is ${changed ? 'no longer suspended' : 'not suspended'}`);
    });
}

function addResetPassword(user: Command, env: NodeJS.ProcessEnv): void {
  user
    .command('reset-password')
    .description('print a code with which a user sets a new password once, within 24 hours')
    .argument(...NAME)
    .action(async (username: string) => {
      const { code, expiresAt } = await withOperator(readConfig(env), (operator) =>
        operator.resetPassword({ username }),
      );
      printLine(`${code} sets a new password once, until ${expiresAt}; earlier codes no longer work`);
    });
}

function addErase(user: Command, env: NodeJS.ProcessEnv): void {
  user
    .command('erase')
    .description('erase a user permanently, as users can do themselves; nobody can undo this')
    .argument(...NAME)
    .action(async (username: string) => {
      await withOperator(readConfig(env), (operator) => operator.eraseUser({ username }));
      printLine(`${username} is erased`);
    });
}

function addSessions(user: Command, env: NodeJS.ProcessEnv): void {
  user
    .command('sessions')
    .description('print the open sessions of a user, and end them with --end')
    .argument(...NAME)
    .option('--end', 'end all of them, on every node')
    .action(async (username: string, { end = false }: { end?: boolean }) => {
      const { sessions } = await withOperator(readConfig(env), (operator) =>
        operator.userSessions({ username, end }),
      );
      for (const { createdAt, expiresAt } of sessions)
        printLine(`signed in ${createdAt}, ${end ? 'ended now' : `open until ${expiresAt}`}`);
      if (sessions.length === 0) printLine(`${username} has no open session`);
    });
}
