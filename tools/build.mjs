/**
 * Builds the parts of the project whose sources have changed since they were built: `node tools/build.mjs`, in the
 * project's folder. Prints the name of each part that it builds. A part is also built if an output is missing.
 * The names, sizes and times of the sources are compared, so that a removed source counts as a change too.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

const always = ['package.json', 'package-lock.json', 'tools/build.mjs'];
const bin = (name) => join('node_modules', '.bin', name);

/** Not all of `packages`: that has what is built of them too. */
const clientSources = 'packages/client/src';

const parts = [
  {
    name: 'program',
    sources: ['src', clientSources, 'test', 'bench', 'demo', 'site', 'tsconfig.json'],
    outputs: ['dist/src/app/main.js', 'dist/src/cli/bin.js', 'dist/.tsbuildinfo'],
    build() {
      // Without its program, the compiler must not rely on what it remembers of it.
      if (!existsSync('dist/src/app/main.js')) rmSync('dist/.tsbuildinfo', { force: true });
      run(bin('tsc'), '-p', 'tsconfig.json');
      chmodSync('dist/src/cli/bin.js', 0o755);
    },
  },
  {
    name: 'bundle',
    sources: ['src', 'tools/bundle.mjs'],
    outputs: ['dist/server/lib/main.js', 'dist/server/lib/bin.js'],
    build: () => run(process.execPath, 'tools/bundle.mjs'),
  },
  {
    name: 'pages',
    // The console's filter takes its fields and event types from the program.
    sources: ['web', clientSources, 'src'],
    outputs: ['index.html', 'audit.html', 'admin.html', '404.html', 'serviceWorker.js'].map(
      (name) => `dist/pages/${name}`,
    ),
    build: () => run(bin('vite'), 'build', 'web', '--logLevel', 'warn'),
  },
  {
    name: 'packages',
    sources: [clientSources, 'packages/react/src', 'packages/react/tsconfig.json', 'src', 'tools'],
    outputs: ['packages/client/dist/contract.d.ts', 'packages/react/dist/index.js'],
    build: () => run(process.execPath, 'tools/packages.mjs'),
  },
  {
    name: 'documentation',
    sources: ['docs', 'README.md', 'site', 'web/docs', clientSources, 'src'],
    outputs: ['dist/docs/index.html'],
    build: () => run(process.execPath, 'dist/site/build.js'),
  },
];

function run(command, ...args) {
  if (!existsSync(command)) {
    console.error(`${command} is missing: run \`npm ci --include=dev\`, which installs what the build needs`);
    process.exit(1);
  }
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

/** A digest of the names, sizes and times of all files at or below these paths. */
function fingerprint(paths) {
  const hash = createHash('sha256');
  const visit = (path) => {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (stat?.isDirectory()) for (const name of readdirSync(path).sort()) visit(join(path, name));
    else hash.update(`${path}\0${stat?.size}\0${stat?.mtimeNs}\n`);
  };
  for (const path of paths) visit(path);
  return hash.digest('hex');
}

for (const { name, sources, outputs, build } of parts) {
  const stamp = `dist/.built-${name}`;
  // Taken before the build: a source that changes during the build is built the next time.
  const found = fingerprint([...always, ...sources]);
  const built = existsSync(stamp) ? readFileSync(stamp, 'utf8') : undefined;
  if (found === built && outputs.every((output) => existsSync(output))) continue;
  console.log(`building: ${name}`);
  rmSync(stamp, { force: true });
  build();
  mkdirSync('dist', { recursive: true });
  writeFileSync(stamp, found);
}
