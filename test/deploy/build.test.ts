import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';

const project = join(import.meta.dirname, '..', '..', '..');

/** A project as small as the build script accepts, in a new folder. */
function smallProject() {
  const folder = mkdtempSync(join(tmpdir(), 'parley-build-'));
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  symlinkSync(join(project, 'node_modules'), join(folder, 'node_modules'));
  write('tools/build.mjs', readFileSync(join(project, 'tools', 'build.mjs'), 'utf8'));
  write('package.json', '{ "type": "module" }');
  write('tsconfig.json', readFileSync(join(project, 'tsconfig.json'), 'utf8'));
  write('src/app/main.ts', "export const said = 'first';\n");
  write('src/app/other.ts', 'export {};\n');
  write('src/cli/bin.ts', 'export {};\n');
  write('docs/index.md', 'first');
  write(
    'tools/packages.mjs',
    "import { cpSync } from 'node:fs';\nfor (const output of ['client/dist/contract.d.ts', 'react/dist/index.js']) cpSync('packages/react/src/index.ts', 'packages/' + output, { recursive: true });\n",
  );
  write('packages/react/src/index.ts', 'first');
  write(
    'tools/bundle.mjs',
    "import { cpSync } from 'node:fs';\nfor (const [from, to] of [['app/main.js', 'main.js'], ['cli/bin.js', 'bin.js']]) cpSync('dist/src/' + from, 'dist/server/lib/' + to, { recursive: true });\n",
  );
  write(
    'site/build.ts',
    "import { cpSync } from 'node:fs';\ncpSync('docs/index.md', 'dist/docs/index.html', { recursive: true });\n",
  );
  write('web/index.html', '<p>first</p>');
  write('web/audit.html', '<p>audit</p>');
  write('web/admin.html', '<p>admin</p>');
  write('web/404.html', '<p>missing</p>');
  write('web/public/serviceWorker.js', 'export {};');
  write(
    'web/vite.config.js',
    "export default { build: { outDir: '../dist/pages', emptyOutDir: true, rolldownOptions: { input: ['web/index.html', 'web/audit.html', 'web/admin.html', 'web/404.html'] } } };",
  );
  return {
    write,
    read: (path: string) => readFileSync(join(folder, path), 'utf8'),
    remove: (path: string) => rmSync(join(folder, path), { recursive: true }),
    removeAll: () => rmSync(folder, { recursive: true }),
    run: () => spawnSync(process.execPath, ['tools/build.mjs'], { cwd: folder, encoding: 'utf8' }),
    /** The parts that the script builds. */
    build: () =>
      [
        ...execFileSync(process.execPath, ['tools/build.mjs'], { cwd: folder, encoding: 'utf8' }).matchAll(
          /^building: (\w+)$/gm,
        ),
      ].map(([, part]) => part),
  };
}

describe('the build before a start', () => {
  const { write, read, remove, removeAll, run, build } = smallProject();
  after(removeAll);

  const everything = ['program', 'bundle', 'pages', 'packages', 'documentation'];

  it('builds everything in a fresh clone, and nothing a second time', () => {
    expect(build()).to.deep.equal(everything);
    expect(build()).to.deep.equal([]);
  });

  it('builds a changed source again, and all that is made from it', () => {
    write('src/app/main.ts', "export const said = 'second';\n");
    expect(build()).to.deep.equal(everything);
    expect(read('dist/src/app/main.js')).to.include('second');
    expect(build()).to.deep.equal([]);
  });

  it('builds only the part of the changed source', () => {
    write('docs/index.md', 'second');
    expect(build()).to.deep.equal(['documentation']);
    expect(read('dist/docs/index.html')).to.equal('second');
    write('packages/react/src/index.ts', 'second');
    expect(build()).to.deep.equal(['packages']);
    write('web/index.html', '<p>second</p>');
    expect(build()).to.deep.equal(['pages']);
    expect(read('dist/pages/index.html')).to.include('second');
  });

  it('counts an added and a removed source as a change', () => {
    write('src/app/added.ts', 'export {};\n');
    expect(build()).to.deep.equal(everything);
    remove('src/app/added.ts');
    expect(build()).to.deep.equal(everything);
  });

  it('builds a removed output again', () => {
    remove('dist/pages');
    expect(build()).to.deep.equal(['pages']);
    remove('dist/src');
    expect(build()).to.deep.equal(['program']);
    expect(read('dist/src/app/main.js')).to.include('second');
  });

  it('names in one line the packages that are missing', () => {
    remove('node_modules');
    write('src/app/main.ts', "export const said = 'third';\n");
    const { status, stdout, stderr } = run();
    expect(status).to.equal(1);
    expect(stdout + stderr).to.match(
      /^building: program\n[^\n]*tsc is missing[^\n]*npm ci --include=dev[^\n]*\n$/,
    );
  });
});

describe('An installation', () => {
  const readJson = (path: string) => JSON.parse(readFileSync(join(project, path), 'utf8'));

  /** The direct dependencies that npm installs, by the settings of this project. */
  function listInstalled(env: Record<string, string>, ...args: readonly string[]): string[] {
    const folder = mkdtempSync(join(tmpdir(), 'parley-install-'));
    for (const file of ['package.json', 'package-lock.json', '.npmrc'])
      writeFileSync(join(folder, file), readFileSync(join(project, file)));
    const { stdout } = spawnSync('npm', ['ls', '--package-lock-only', '--depth', '0', '--json', ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH, ...env },
      encoding: 'utf8',
    });
    rmSync(folder, { recursive: true });
    return Object.keys(JSON.parse(stdout).dependencies);
  }

  it('has what `npm start` builds with, whatever NODE_ENV is', () => {
    for (const NODE_ENV of ['development', 'production'])
      expect(listInstalled({ NODE_ENV }), NODE_ENV).to.include.members(['koa', 'typescript', 'vite']);
  });

  it('of the image has packages of production only', () => {
    const [, options = ''] =
      /npm ci (--omit=dev[^\\&]*)/.exec(readFileSync(join(project, 'Dockerfile'), 'utf8')) ?? [];
    const installed = listInstalled({}, ...options.trim().split(' '));
    const { dependencies, optionalDependencies, devDependencies } = readJson('package.json');
    // npm also names what is in `packages`, which the stage of the image does not have.
    expect(installed).to.include.members(Object.keys({ ...dependencies, ...optionalDependencies }));
    expect(installed).to.not.include.any.members(Object.keys(devDependencies));
  });

  it('refuses by name each package that would run a script', () => {
    const packages: Record<string, { hasInstallScript?: boolean }> = readJson('package-lock.json').packages;
    const scripted = Object.entries(packages).flatMap(([path, { hasInstallScript }]) =>
      hasInstallScript ? [path.replace(/^.*node_modules\//, '')] : [],
    );
    const { allowScripts } = readJson('package.json');
    expect(allowScripts).to.deep.equal(Object.fromEntries(scripted.map((name) => [name, false])));
  });
});
