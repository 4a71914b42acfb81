import type { Command } from 'commander';
import { readConfig } from '../base/settings.js';
import { Note } from '../domain/moderation/reports.js';
import { parseAs, parseId, printLine } from './commandLine.js';
import { withOperator } from './operate.js';

const parseNote = parseAs(Note);
const addId = (id: string, before: readonly string[] = []): string[] => [...before, parseId(id)];

/** Reports of users, decided by the operator in place of a moderator. */
export function addReport(program: Command, env: NodeJS.ProcessEnv): void {
  const report = program.command('report').description('see and decide what users have reported');
  report
    .command('list')
    .description(
      'print the open reports, oldest first, as JSON lines; with --closed the decided ones, newest first',
    )
    .option('--closed', 'those that are decided')
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
    .requiredOption('--note <text>', 'why, for the log', parseNote)
    .option('--delete <messageId>', 'delete this message of the report; may be repeated', addId)
    .action(async (reportId: string, { note, delete: ids }: { note: string; delete?: string[] }) => {
      const decision = { reportId, note, ...(ids ? { delete: ids } : {}) };
      await withOperator(readConfig(env), (operator) => operator.decideReport(decision));
      const deleted = ids
        ? `, and ${ids.length} of its messages ${ids.length === 1 ? 'is' : 'are'} deleted`
        : '';
      printLine(`report ${reportId} is decided${deleted}`);
    });
}
