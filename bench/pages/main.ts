import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command } from 'commander';
import { chromium } from 'playwright-core';
import { describeMachine } from '../machine.js';
import { median } from '../measures/measure.js';
import { parleyBefore, parleySqlite } from '../systems/parley.js';
import type { Running } from '../systems/system.js';
import { type Auditing, auditOnce, type Figures } from './audits.js';
import { timeForm, timeList } from './waits.js';

/**
 * Measures the pages as a phone on a slow line loads them, in `parley-sqlite` and, in turn with it, in the build of an
 * earlier commit. Lighthouse is not a dependency of the project: `--lighthouse` names a folder that it is installed in.
 */
interface Options {
  readonly lighthouse: string;
  readonly before?: string;
  readonly rounds: string;
}

const paths = ['/', '/audit', '/admin', '/docs'] as const;
const browsers = [
  '/usr/bin/chromium-headless-shell',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];
const DEBUGGING_PORT = 9339;

const log = (line: string) => process.stderr.write(`${line}\n`);

function fail(why: string): never {
  log(why);
  process.exit(1);
}

async function loadLighthouse(folder: string): Promise<Auditing> {
  const file = resolve(folder, 'node_modules', 'lighthouse', 'core', 'index.js');
  if (!existsSync(file))
    fail(
      `there is no Lighthouse in ${folder}: npm install --prefix ${folder} lighthouse@12, then run this again`,
    );
  // Its own types would need it installed.
  return ((await import(pathToFileURL(file).href)) as { readonly default: Auditing }).default;
}

function printTable(rows: ReadonlyMap<string, readonly Figures[]>): void {
  const names = ['score', 'fcp', 'lcp', 'interactive', 'cls', 'bytes', 'wait'] as const;
  const lines = [...rows].map(([title, figures]) => {
    const cells = names.map((name) => {
      const found = figures.flatMap((each) => each[name] ?? []);
      return found.length === 0 ? '—' : String(median(found));
    });
    return `| ${[title, ...cells].join(' | ')} |`;
  });
  process.stdout.write(
    `| page | lowest score of the four | FCP ms | LCP ms | TTI ms | layout shift | bytes | usable after ms |
| --- | --- | --- | --- | --- | --- | --- | --- |\n${lines.join('\n')}\n`,
  );
}

async function main({ lighthouse, before, rounds }: Options): Promise<void> {
  const audit = await loadLighthouse(lighthouse);
  const executablePath = process.env.CHROMIUM ?? browsers.find((place) => existsSync(place));
  if (executablePath === undefined) fail('there is no Chromium here: CHROMIUM names one');
  log(describeMachine());
  const servers = new Map<string, Running>([['parley-sqlite', await parleySqlite.start()]]);
  if (before !== undefined) servers.set('parley-before', await parleyBefore(before).start());
  const browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-dev-shm-usage', `--remote-debugging-port=${DEBUGGING_PORT}`],
  });
  const rows = new Map<string, Figures[]>();
  const note = (title: string, figures: Figures): void => {
    rows.set(title, [...(rows.get(title) ?? []), figures]);
    log(`${title}: ${JSON.stringify(figures)}`);
  };
  for (let round = 0; round < Number(rounds); round++)
    for (const [name, { server }] of servers) {
      for (const path of paths)
        note(`${name} ${path}`, await auditOnce(audit, server.origin + path, DEBUGGING_PORT));
      note(`${name}: the form of somebody new`, { wait: await timeForm(browser, server.origin) });
      note(`${name}: the list of a returning user`, { wait: await timeList(browser, server.origin) });
    }
  await browser.close();
  for (const running of servers.values()) await running.stop();
  printTable(new Map([...rows].sort(([a], [b]) => a.localeCompare(b))));
}

await main(
  new Command('npm run bench:pages --')
    .description('Measures how fast the pages open, by Lighthouse and by a clock in the page.')
    .requiredOption(
      '--lighthouse <folder>',
      'where it is installed',
      process.env.LIGHTHOUSE ?? '../lighthouse',
    )
    .option('--before <checkout>', 'measure the build in this checkout of an earlier commit too')
    .option('--rounds <number>', 'how often each is measured; medians are printed', '5')
    .parse()
    .opts<Options>(),
);
process.exit(0);
