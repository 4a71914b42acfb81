import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import MarkdownIt from 'markdown-it';
import type { Browser, Page } from 'playwright-core';
import { repository } from '../deploy/dockerfile.js';
import { openBrowser } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/freePort.js';
import { tempDir } from '../support/tempDir.js';

const MOST_LINES = 250;
const read = (file: string): string => readFileSync(join(repository, file), 'utf8');
const built = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const tutorial = read('docs/tutorial.md');

/** What the reader of the tutorial does next. */
type Action =
  | { readonly kind: 'run'; readonly where: string; readonly code: string }
  | { readonly kind: 'write'; readonly file: string; readonly code: string }
  /** What the program that was started last prints. */
  | { readonly kind: 'see'; readonly text: string }
  | { readonly kind: 'step'; readonly text: string };

/** All that the tutorial says to do, in its order. */
function readActions(): Action[] {
  const actions: Action[] = [];
  let isInSteps = false;
  for (const { type, info, content } of new MarkdownIt().parse(tutorial, {})) {
    if (type === 'ordered_list_open') isInSteps = true;
    if (type === 'ordered_list_close') isInSteps = false;
    if (type === 'fence') {
      const [language, what = ''] = info.split(' ');
      const isRun = language === 'sh';
      actions.push(
        isRun ? { kind: 'run', where: what, code: content } : { kind: 'write', file: what, code: content },
      );
    }
    if (type !== 'inline') continue;
    const [, text] = /^It prints `([^`]+)`/.exec(content) ?? [];
    if (isInSteps) actions.push({ kind: 'step', text: content });
    else if (text !== undefined) actions.push({ kind: 'see', text });
  }
  return actions;
}

/** Commands of the clone that a test must not run as they are: its packages and its build are there already. */
const standIns = `
npm() {
  case "$1" in
    ci) ;;
    start) PORT=$PARLEY_PORT exec '${process.execPath}' '${built('src/app/main.js')}' ;;
    *) command npm "$@" ;;
  esac
}
npx() {
  if [ "$1" = parley ]; then shift; '${process.execPath}' '${built('src/cli/bin.js')}' "$@"; else command npx "$@"; fi
}
`;

/** The machine of the reader: a clone, a folder beside it, terminals and a browser. */
class Reader {
  readonly #root = tempDir();
  /** What stands here for the ports and the folder of the tutorial. */
  readonly #places: ReadonlyMap<string, string>;
  readonly #running: ChildProcess[] = [];
  readonly #pages = new Map<string, Page>();
  /** What each program has printed, by what it printed first of all. */
  readonly #said = new Map<ChildProcess, string>();

  private constructor(
    private readonly browser: Browser,
    ports: ReadonlyMap<string, string>,
  ) {
    this.#places = new Map([...ports, ['../team', join(this.#root, 'team')]]);
    symlinkSync(repository, join(this.#root, 'parley'));
  }

  static async at(browser: Browser): Promise<Reader> {
    const ports = new Map<string, string>();
    for (const port of ['3000', '4000', '8090']) ports.set(port, String(await freePort()));
    return new Reader(browser, ports);
  }

  /** A text of the tutorial with the ports and places of this machine. */
  #located(text: string): string {
    // In one pass: what is put in may itself have the digits of a port.
    return text.replaceAll(/\.\.\/team|3000|4000|8090/g, (found) => this.#places.get(found) ?? found);
  }

  write(file: string, code: string): void {
    writeFileSync(join(this.#root, 'team', file), this.#located(code));
  }

  /** Begins to run commands. */
  run(where: string, code: string): ChildProcess {
    const inherited = Object.entries(process.env).filter(
      ([name]) => !/^(?:npm_.*|NODE_ENV|MONGO_URL|NATS_URL)$/i.test(name),
    );
    const child = spawn('bash', ['--norc', '-euo', 'pipefail', '-c', standIns + this.#located(code)], {
      cwd: where === 'clone' ? repository : join(this.#root, 'team'),
      env: {
        ...Object.fromEntries(inherited),
        ...{ npm_config_prefer_offline: 'true', npm_config_audit: 'false', npm_config_fund: 'false' },
        ...{ PARLEY_PORT: this.#located('3000') },
      },
      // A group of its own, as a terminal gives it.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk) => this.#said.set(child, this.said(child) + chunk));
    this.#running.push(child);
    return child;
  }

  said(child: ChildProcess): string {
    return this.#said.get(child) ?? '';
  }

  /** Resolves when the commands have ended well. */
  async end(child: ChildProcess): Promise<void> {
    const [code] = child.exitCode === null ? await once(child, 'close') : [child.exitCode];
    expect(code, this.said(child)).to.equal(0);
  }

  /** Resolves when the program has printed this text. */
  async see(child: ChildProcess, text: string): Promise<void> {
    const located = this.#located(text);
    await eventually(`${located} is printed`, () => {
      if (child.exitCode !== null) throw new Error(`it has ended:\n${this.said(child)}`);
      return this.said(child).includes(located);
    });
  }

  /** Ctrl+C in the terminal of the program. */
  async interrupt(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    process.kill(-child.pid, 'SIGINT');
    await once(child, 'close');
  }

  /** The window of a person: a session of its own. */
  async window(name: string): Promise<Page> {
    const known = this.#pages.get(name);
    if (known) return known;
    const page = await (await this.browser.newContext()).newPage();
    await page.goto(this.#located('http://127.0.0.1:4000'));
    this.#pages.set(name, page);
    return page;
  }

  async stop(): Promise<void> {
    for (const child of this.#running) await this.interrupt(child);
  }
}

async function signIn(page: Page, name: string): Promise<void> {
  await page.locator('input[name=login]').fill(name);
  await page.locator('input[name=password]').fill('any');
  await page.getByRole('button', { name: 'Sign-in' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('heading', { name: '0 unread' }).waitFor();
}

async function ask(page: Page, label: string, text: string): Promise<void> {
  await page.getByLabel(label).fill(text);
  await page.getByRole('button', { name: label, exact: true }).click();
}

/** The steps in the browser, by the words of the tutorial. */
const steps: Readonly<Record<string, (reader: Reader, bot: Bot) => Promise<void>>> = {
  async 'Open `http://127.0.0.1:4000` and click **Sign in**.'(reader) {
    await (await reader.window('ann')).getByRole('button', { name: 'Sign in' }).click();
  },
  async 'Enter the name `ann` and any password, click **Sign-in**, then **Continue**. You see **0 unread**.'(
    reader,
  ) {
    await signIn(await reader.window('ann'), 'ann');
  },
  async 'Do the same in a private window, as `bob`.'(reader) {
    const bob = await reader.window('bob');
    await bob.getByRole('button', { name: 'Sign in' }).click();
    await signIn(bob, 'bob');
  },
  async 'As `ann`, write `bob` beside **Find** and click it. Write `Hello, Bob` beside **Send** and click it.'(
    reader,
  ) {
    const ann = await reader.window('ann');
    await ask(ann, 'Find', 'bob');
    await ask(ann, 'Send', 'Hello, Bob');
  },
  async 'As `bob`, you see **1 unread**. Click **ann of the team (1)**, and read `ann of the team: Hello, Bob`.'(
    reader,
  ) {
    const bob = await reader.window('bob');
    await bob.getByRole('heading', { name: '1 unread' }).waitFor();
    await bob.getByRole('button', { name: 'ann of the team (1)' }).click();
    await bob.getByText('ann of the team: Hello, Bob').waitFor();
  },
  async 'As `ann`, you see a ✓ behind your message: Bob has read it.'(reader) {
    await (await reader.window('ann')).getByText('ann of the team: Hello, Bob ✓').waitFor();
  },
  async 'As `ann`, click **bot (1)** and read `bot: Welcome, Ann`.'(reader) {
    const ann = await reader.window('ann');
    await ann.getByRole('button', { name: 'bot (1)' }).click();
    await ann.getByText('bot: Welcome, Ann').waitFor();
  },
  async 'Write `Thank you` beside **Send** and click it. You read `bot: You said: Thank you`.'(reader) {
    const ann = await reader.window('ann');
    await ask(ann, 'Send', 'Thank you');
    await ann.getByText('bot: You said: Thank you').waitFor();
  },
  async 'As `bob`, write `Hello, Ann` beside **Send** and click it. The bot prints `heard message 2`, and the room.'(
    reader,
    bot,
  ) {
    await ask(await reader.window('bob'), 'Send', 'Hello, Ann');
    // One in the room of Ann and the bot, and this one.
    await eventually('the bot hears of it', () => {
      const rooms = [...reader.said(bot.running).matchAll(/^heard message 2 of room (\S+)$/gm)];
      return new Set(rooms.map(([, room]) => room)).size === 2;
    });
  },
  async 'Stop the bot with Ctrl+C. As `ann`, write `Are you there?` and start the bot again. It answers once.'(
    reader,
    bot,
  ) {
    const ann = await reader.window('ann');
    await reader.interrupt(bot.running);
    await ask(ann, 'Send', 'Are you there?');
    await ann.getByText('ann of the team: Are you there?').waitFor();
    await bot.startAgain();
    const answer = ann.getByText('bot: You said: Are you there?');
    await answer.waitFor();
    await ask(ann, 'Send', 'Good');
    await ann.getByText('bot: You said: Good').waitFor();
    expect(await answer.count()).to.equal(1);
  },
};

/** The program that was started last. */
interface Bot {
  readonly running: ChildProcess;
  startAgain(): Promise<void>;
}

describe('docs/tutorial.md', function () {
  this.timeout(600_000);
  const actions = readActions();

  it(`has at most ${MOST_LINES} lines`, () => {
    expect(tutorial.trimEnd().split('\n').length).to.be.at.most(MOST_LINES);
  });

  it('shows the bot of the examples', () => {
    const shown = actions.flatMap((action) =>
      action.kind === 'write' && action.file === 'bot.mjs' ? action.code : [],
    );
    expect(shown).to.deep.equal([read('examples/bot/bot.mjs')]);
  });

  it('has the steps that the test takes in a browser, and no other', () => {
    const said = actions.flatMap((action) => (action.kind === 'step' ? action.text : []));
    expect(said).to.deep.equal(Object.keys(steps));
  });

  it('leads, word for word, to two users who talk, and a bot that writes, hears and answers', async function () {
    const browser = await openBrowser();
    if (!browser) return this.skip();
    const reader = await Reader.at(browser);
    try {
      let last: ChildProcess | undefined;
      let [lastCode, lastSeen] = ['', ''];
      for (const [at, action] of actions.entries())
        switch (action.kind) {
          case 'write':
            reader.write(action.file, action.code);
            break;
          case 'run': {
            const child = reader.run(action.where, action.code);
            if (actions[at + 1]?.kind !== 'see') await reader.end(child);
            else [last, lastCode] = [child, action.code];
            break;
          }
          case 'see': {
            if (!last) throw new Error('nothing was started');
            lastSeen = action.text;
            await reader.see(last, action.text);
            break;
          }
          case 'step': {
            if (!last) throw new Error('nothing was started');
            const bot = {
              running: last,
              startAgain: async () => {
                last = reader.run('team', lastCode.slice(lastCode.indexOf('export PARLEY_KEY')));
                await reader.see(last, lastSeen);
              },
            };
            await steps[action.text]?.(reader, bot);
          }
        }
    } finally {
      await reader.stop();
      await browser.close();
    }
  });
});
