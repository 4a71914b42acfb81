import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { tempDir } from '../support/tempDir.js';
import { readDockerfile, repository } from './dockerfile.js';

const built = (folder: string): string => fileURLToPath(new URL(`../../${folder}`, import.meta.url));
const aKey = Buffer.alloc(32, 7).toString('base64');

/** Lays out what the image's last stage has: the compiled server and the packages it needs to run, at the least. */
function layOut(): string {
  const app = tempDir();
  // This version's lock file says it so.
  const lock = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean; link?: boolean }>;
  };
  for (const [path, { dev = false, optional = false, link = false }] of Object.entries(lock.packages))
    if (path.startsWith('node_modules/') && !link && !dev && !optional && existsSync(join(repository, path)))
      cpSync(join(repository, path), join(app, path), {
        recursive: true,
        // A package below another one is an entry of its own, which may be for development.
        filter: (from) => !relative(join(repository, path), from).includes('node_modules'),
      });
  for (const folder of ['server', 'pages', 'docs'])
    cpSync(built(folder), join(app, 'dist', folder), { recursive: true });
  cpSync(join(repository, 'package.json'), join(app, 'package.json'));
  return app;
}

function run(command: readonly string[], cwd: string, env: Record<string, string>) {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { cwd, env: { PATH: process.env.PATH, ...env } });
  const ended: Promise<number | null> = once(child, 'close').then(([code]) => code);
  let output = '';
  const listening = new Promise<string>((resolve) => {
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        output += chunk;
        const port = /listening on http:\/\/[^\s"]*:(\d+)/.exec(output)?.[1];
        if (port !== undefined) resolve(port);
      });
  });
  const died = ended.then((code) => Promise.reject(new Error(`it ended with ${code}:\n${output}`)));
  died.catch(() => {});
  return { child, ended, listening: Promise.race([listening, died]) };
}

describe('The image', function () {
  this.timeout(120_000);
  const dockerfile = readDockerfile();

  it('is made of files that exist and that .dockerignore lets through', () => {
    const allowed = readFileSync(join(repository, '.dockerignore'), 'utf8').split('\n');
    expect(dockerfile.copied).to.include('src');
    for (const file of dockerfile.copied) {
      expect(existsSync(join(repository, file)), file).to.equal(true);
      expect(allowed, file).to.include(`!${file}`);
    }
  });

  it('does not run as root', () => {
    expect(dockerfile.user).to.match(/^[1-9]\d*:[1-9]\d*$/);
  });

  it('serves with the required packages of production alone, says that it is healthy, and ends with 0 on SIGTERM', async () => {
    const app = layOut();
    const settings = { MASTER_KEY: aKey, DATA_DIR: tempDir(), HOST: '127.0.0.1', PORT: '0' };
    const server = run(dockerfile.cmd, app, { ...dockerfile.env, ...settings });
    try {
      const port = await server.listening;
      expect(await run(dockerfile.healthcheck, app, { PORT: port }).ended).to.equal(0);
      for (const path of ['/', '/audit', '/docs'])
        expect((await fetch(`http://127.0.0.1:${port}${path}`)).status, path).to.equal(200);
      server.child.kill('SIGTERM');
      expect(await server.ended).to.equal(0);
      expect(await run(dockerfile.healthcheck, app, { PORT: port }).ended).to.equal(1);
    } finally {
      server.child.kill('SIGKILL');
    }
  });

  it('says in one line which packages are left out that a setting needs', async () => {
    const app = layOut();
    for (const [name, value] of [
      ['LOG_FORMAT', 'pretty'],
      ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://127.0.0.1:4318'],
    ] as const) {
      const settings = { DATA_DIR: tempDir(), HOST: '127.0.0.1', PORT: '0', [name]: value };
      const server = run(dockerfile.cmd, app, { ...dockerfile.env, ...settings });
      const message = await server.listening.then(
        () => 'it started',
        (error: Error) => error.message,
      );
      const lines = message.split('\n').filter((line) => line.startsWith('{'));
      expect(lines, message).to.have.length(1);
      expect(JSON.parse(lines[0] ?? '').msg).to.match(new RegExp(`^${name}: .* not installed$`));
    }
  });
});
