import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { repository } from '../deploy/dockerfile.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';

const tools = join(repository, 'tools/generators');
const install = 'npm ci --prefix tools/generators';

/** Whether the linters and generators are installed; with `CI=true` they must be. */
function toolsAreHere(): boolean {
  if (existsSync(join(tools, 'node_modules'))) return true;
  if (process.env.CI === 'true') throw new Error(`CI needs linters and generators: ${install}`);
  console.warn(`left out: linters and generators of the API documents; to run them: ${install}`);
  return false;
}

describe('The API documents', function () {
  this.timeout(180_000);
  let server: ServerProcess | undefined;
  let folder = '';
  before(async function () {
    if (!toolsAreHere()) this.skip();
    server = await startServer({ engine: 'sqlite' });
    folder = tempDir();
    symlinkSync(join(tools, 'node_modules'), join(folder, 'node_modules'));
    for (const file of ['package.json', 'tsconfig.json', 'spectral.yaml', 'client.ts', 'models.js'])
      copyFileSync(join(tools, file), join(folder, file));
    for (const file of ['openapi.json', 'asyncapi.json'])
      writeFileSync(join(folder, file), await (await fetch(`${server.url}/${file}`)).text());
  });
  after(() => server?.stop());

  /** Runs a file of the tools' packages in the folder of the documents. Resolves with its standard output. */
  async function run(file: string, ...args: readonly string[]): Promise<string> {
    const child = spawn(process.execPath, [file, ...args], {
      cwd: folder,
      // A tool asks no host whether a newer one is out.
      env: { PATH: process.env.PATH, REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true', REDOCLY_TELEMETRY: 'off' },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 120_000,
    });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    expect(code, `${out}\n${err}`).to.equal(0);
    return out;
  }

  it('give redocly nothing to say', async () => {
    const cli = 'node_modules/@redocly/cli/bin/cli.js';
    for (const file of ['openapi.json', 'asyncapi.json']) {
      const said = JSON.parse(await run(cli, 'lint', '--format=json', file));
      expect(said.problems, file).to.deep.equal([]);
      expect(said.totals, file).to.include({ errors: 0, warnings: 0 });
    }
  });

  it('give spectral nothing to say', async () => {
    const cli = 'node_modules/@stoplight/spectral-cli/dist/index.js';
    const options = ['--quiet', '--ruleset', 'spectral.yaml', '--format', 'json', '--fail-severity', 'hint'];
    for (const file of ['openapi.json', 'asyncapi.json'])
      expect(JSON.parse(await run(cli, 'lint', file, ...options)), file).to.deep.equal([]);
  });

  it('make a typed client by openapi-typescript, which signs in and reads', async () => {
    await run('node_modules/openapi-typescript/bin/cli.js', 'openapi.json', '--output', 'openapi.d.ts');
    await run('node_modules/typescript/bin/tsc', '-p', '.');
    const said = await run('client.js', server?.url ?? '');
    expect(said.trim().split('\n')).to.deep.equal([
      'a wrong password is unauthenticated',
      'read generated, who has 0 chats',
      'a field that is missing is bad_request: password',
    ]);
  });

  it('make models by the parser and the generator of AsyncAPI, each with a name', async () => {
    const { diagnostics, unnamed, models } = JSON.parse(await run('models.js', 'asyncapi.json'));
    expect(diagnostics).to.deep.equal([]);
    expect(unnamed).to.deep.equal([]);
    expect(models).to.include.all.keys(
      'Chat',
      'ChatRole',
      'Message',
      'SendMessageRequestData',
      'ErrorErrorCode',
    );
    const all = Object.entries<string>(models);
    expect(all.filter((model) => /anonymous/i.test(model.join('\n')))).to.deep.equal([]);
  });
});
