import { execFileSync } from 'node:child_process';
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
    'site/build.ts',
    "import { cpSync } from 'node:fs';\ncpSync('docs/index.md', 'dist/docs/index.html', { recursive: true });\n",
  );
  write('web/index.html', '<p>first</p>');
  write('web/audit.html', '<p>audit</p>');
  write(
    'web/vite.config.js',
    "export default { build: { outDir: '../dist/pages', emptyOutDir: true, rolldownOptions: { input: ['web/index.html', 'web/audit.html'] } } };",
  );
  return {
    write,
    read: (path: string) => readFileSync(join(folder, path), 'utf8'),
    remove: (path: string) => rmSync(join(folder, path), { recursive: true }),
    removeAll: () => rmSync(folder, { recursive: true }),
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
  const { write, read, remove, removeAll, build } = smallProject();
  after(removeAll);

  const everything = ['program', 'pages', 'documentation'];

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
});
