import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { expect } from 'chai';
import type { Browser, Page } from 'playwright-core';
import { allBlocks } from '../docs/blocks.js';
import { openBrowser } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/freePort.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';
import { repository } from './dockerfile.js';
import { Program } from './program.js';

/** Of what a page loads of the client, compressed. */
const MOST_BYTES = 12_500;
const names = ['client', 'react'] as const;
const version: string = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')).version;

/** What npm needs of this process, without what the npm that runs the tests says of this project. */
const environment = (): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_|^NODE_ENV$/i.test(name))),
  npm_config_prefer_offline: 'true',
});

function run(cwd: string, command: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    env: environment(),
    encoding: 'utf8',
    timeout: 90_000,
  });
  expect(status, `${command} ${args.join(' ')}\n${stdout}${stderr}`).to.equal(0);
  return stdout;
}

/** The file of each package, as it would be published. */
function pack(): ReadonlyMap<string, string> {
  const folder = tempDir();
  for (const name of names)
    run(join(repository, 'packages', name), 'npm', 'pack', '--pack-destination', folder);
  return new Map(names.map((name) => [name, join(folder, `parley-${name}-${version}.tgz`)]));
}

describe('The packages of clients', function () {
  this.timeout(120_000);
  let packed: ReadonlyMap<string, string>;
  const fileOf = (name: string): string => packed.get(name) ?? '';
  before('pack', () => {
    packed = pack();
  });

  it('are what `publint` and `attw` find nothing in', () => {
    const bin = join(repository, 'node_modules/.bin');
    for (const name of names) {
      const folder = join(repository, 'packages', name);
      const said = run(folder, join(bin, 'publint'), '--strict');
      expect(said).to.include('All good!');
      // Both are modules only. Node 20 and later let CommonJS load them too.
      run(folder, join(bin, 'attw'), fileOf(name), '--ignore-rules', 'cjs-resolves-to-esm');
    }
  });

  it(`have at most ${MOST_BYTES} bytes of client for a page that loads it, compressed with Brotli`, async () => {
    const { build } = await import('vite');
    const bundled = await build({
      ...{ configFile: false, logLevel: 'silent', root: tempDir() },
      build: {
        ...{ write: false, target: 'es2022', modulePreload: false },
        rolldownOptions: {
          input: join(repository, 'packages/client/dist/index.js'),
          preserveEntrySignatures: 'strict',
        },
      },
    });
    // Without a watcher, and with one output, it is this.
    const { output } = bundled as { output: { code: string }[] };
    expect(output).to.have.length(1);
    expect(brotliCompressSync(output[0]?.code ?? '').length).to.be.within(8 * 1024, MOST_BYTES);
  });

  it('have the types of the contract, without the server', () => {
    const dist = join(repository, 'packages/client/dist');
    for (const file of readdirSync(dist, { recursive: true, encoding: 'utf8' }))
      if (file.endsWith('.d.ts')) {
        const imported = [
          ...readFileSync(join(dist, file), 'utf8').matchAll(/(?:from |import\()['"]([^'"]+)/g),
        ];
        for (const [, from = ''] of imported) expect(from, file).to.match(/^\.\.?\/[\w./]*$/);
      }
    const folder = tempDir();
    const same = `import type * as Made from ${JSON.stringify(join(dist, 'contract.js'))};
import type * as Declared from ${JSON.stringify(join(repository, 'src/domain/contract.js'))};
import type * as Errors from ${JSON.stringify(join(repository, 'src/base/errors.js'))};
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never;
export const requests: { [N in Declared.RequestName]: [
  Same<Made.RequestInput<N>, Declared.RequestInput<N>>, Same<Made.RequestAnswer<N>, Declared.RequestAnswer<N>>,
] } = null as unknown as { [N in Made.RequestName]: [true, true] };
export const pushes: { [N in Declared.PushName]: Same<Made.PushData<N>, Declared.PushData<N>> } =
  null as unknown as { [N in Made.PushName]: true };
export const errors: [
  Same<Made.ErrorCode, Errors.ErrorCode>, Same<Made.ErrorReason, Errors.ErrorReason>, Same<Made.FieldError, Errors.FieldError>,
] = [true, true, true];
`;
    writeFileSync(join(folder, 'same.mts'), same);
    const compilerOptions = { rootDir: '/', noEmit: true, incremental: false, declaration: false, types: [] };
    const config = {
      extends: join(repository, 'tsconfig.json'),
      compilerOptions,
      include: [],
      files: ['same.mts'],
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
    run(folder, process.execPath, join(repository, 'node_modules/typescript/bin/tsc'), '-p', folder);
  });

  it('are enough to follow the guide of the client word for word, and to repeat it', async () => {
    const server = await startServer({ engine: 'sqlite' });
    const root = tempDir();
    symlinkSync(repository, join(root, 'parley'));
    // The package is packed already.
    const pack = `npm() {
  if [ "$1" = pack ]; then cp '${fileOf('client')}' '${root}/guide'; else command npm "$@"; fi
}`;
    const said = allBlocks()
      .filter(({ file, info }) => file === 'docs/client.md' && info === 'sh')
      .map(({ code }) => code.replaceAll(' ../guide', ` ${root}/guide`));
    expect(said).to.have.length(2);
    const [install = '', start = ''] = said;
    const here = `sed -i.bak 's|http://127.0.0.1:3000|${server.url}|' guide.ts\nnpx tsx guide.ts\n`;
    const [write = ''] = start.split('npx tsx guide.ts\n');
    run(repository, 'bash', '-euo', 'pipefail', '-c', `${pack}\n${install}`);
    for (const time of ['first', 'second']) {
      const printed = run(join(root, 'guide'), 'bash', '-euo', 'pipefail', '-c', `${write}${here}`);
      expect(printed, time).to.include('friends are not found any more');
    }
    await server.stop();
  });

  describe('in the application of somebody else', () => {
    const folder = tempDir();
    let browser: Browser | undefined;
    let server: ServerProcess;
    let host: Program;
    let origin: string;
    before('install and build', async function () {
      browser = await openBrowser();
      if (!browser) return this.skip();
      const port = await freePort();
      origin = `http://127.0.0.1:${port}`;
      server = await startServer({
        engine: 'sqlite',
        env: {
          ...{
            OIDC_ISSUER: origin,
            OIDC_AUDIENCE: 'parley',
            EGRESS_ALLOW: '127.0.0.0/8',
            SIGN_UP: 'external',
          },
          ALLOWED_ORIGINS: origin,
        },
      });
      cpSync(join(repository, 'examples/react'), folder, { recursive: true });
      const types = ['@types/react@19', '@types/react-dom@19'];
      const files = names.map((name) => fileOf(name));
      run(folder, 'npm', 'install', '--no-audit', '--no-fund', '--ignore-scripts', ...files, 'ws', ...types);
      writeFileSync(join(folder, '.env'), `VITE_PARLEY_URL=${server.url}\n`);
      run(folder, join(folder, 'node_modules/.bin/vite'), 'build');
      host = new Program([process.execPath, join(folder, 'identity.mjs')], { PORT: String(port) });
      await eventually('the application listens', () => host.said.includes('listening on'));
    });
    after(async () => {
      await host?.stop();
      await server?.stop();
      await browser?.close();
    });

    async function signIn(name: string): Promise<Page> {
      if (!browser) throw new Error('there is no browser');
      const page = await (await browser.newContext()).newPage();
      await page.goto(origin);
      await page.getByLabel('Sign in').fill(name);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('heading', { name: 'unread' }).waitFor();
      return page;
    }

    it('let its users talk, whom its own server names', async () => {
      const [ann, bob] = [await signIn('ann'), await signIn('bob')];
      await ann.getByLabel('Find').fill('bob');
      await ann.getByRole('button', { name: 'Find' }).click();
      await ann.getByLabel('Send').fill('Hello, Bob');
      await ann.getByRole('button', { name: 'Send' }).click();
      await ann.getByText('ann: Hello, Bob').waitFor();
      // One list, one room and one mark on each side.
      await bob.getByRole('heading', { name: '1 unread' }).waitFor();
      await bob.getByRole('button', { name: 'ann (1)' }).click();
      await bob.getByText('ann: Hello, Bob').waitFor();
      await bob.getByRole('heading', { name: '0 unread' }).waitFor();
      await ann.getByText('ann: Hello, Bob ✓').waitFor();
      await ann.getByRole('status').getByText('online').waitFor();
      await bob.context().close();
      await ann.getByRole('status').getByText('offline').waitFor();
    });

    it('have types for it, and for what the guide shows', () => {
      const shown = allBlocks().filter(({ file, info }) => file === 'docs/client.md' && info === 'tsx');
      expect(shown).to.have.length(1);
      const given =
        "import type { Store } from '@parley/client';\ndeclare const store: Store;\ndeclare const roomId: string;\n";
      writeFileSync(join(folder, 'src/shown.tsx'), `${given}${shown[0]?.code}void page;\n`);
      const compilerOptions = {
        ...{ strict: true, noEmit: true, skipLibCheck: true, jsx: 'react-jsx', types: ['vite/client'] },
        ...{ target: 'ES2023', lib: ['ES2023', 'DOM'], module: 'ESNext', moduleResolution: 'Bundler' },
      };
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['src'] }));
      run(folder, process.execPath, join(repository, 'node_modules/typescript/bin/tsc'), '-p', folder);
    });

    it('run in a script of Node', () => {
      writeFileSync(
        join(folder, 'script.mjs'),
        `import { createClient } from '@parley/client';
import { openDeviceStore } from '@parley/client/browser';
import { WebSocket } from 'ws';
const getToken = async () => (await fetch('${origin}/token?name=cleo')).text();
const client = createClient({ url: '${server.url}', getToken, webSocket: WebSocket });
client.start();
console.log((await client.ready).username, typeof openDeviceStore);
client.close();
`,
      );
      expect(run(folder, process.execPath, 'script.mjs')).to.equal('cleo function\n');
    });
  });
});
