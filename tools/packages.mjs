/**
 * Builds the packages of `packages`: `node tools/packages.mjs`, after the program. Each gets a `dist` with one readable
 * module an entry point and its declarations. The types that the client shares with the server are written out there,
 * from the schemas of the contract: the packages need neither the server nor its libraries.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { build } from 'vite';
import { contractTypes } from './contractTypes.mjs';

const packages = [
  { name: 'client', entries: ['index', 'browser'] },
  { name: 'react', entries: ['index'] },
];

/** Everything that is imported by a name is installed beside the package. */
const bundle = (folder, entries) =>
  build({
    ...{ configFile: false, logLevel: 'warn', root: folder },
    build: {
      ...{ outDir: 'dist', emptyOutDir: false, target: 'es2022', minify: false, sourcemap: false },
      lib: { formats: ['es'], entry: Object.fromEntries(entries.map((name) => [name, `src/${name}.ts`])) },
      rolldownOptions: { external: /^[@\w]/, output: { entryFileNames: '[name].js' } },
    },
  });

/** Copies the declarations that the entry points reach. Those of the server become the written contract. */
function copyDeclarations(from, to, entries) {
  const contract = join(to, 'contract.d.ts');
  const copied = new Set();
  const copy = (file) => {
    if (copied.has(file)) return;
    copied.add(file);
    const target = join(to, relative(from, file));
    const text = readFileSync(file, 'utf8').replaceAll(
      /(from '|import\(['"])(\.[^'"]+)\.js/g,
      (_, start, path) => {
        const found = join(dirname(file), `${path}.d.ts`);
        if (!relative(from, found).startsWith('..')) {
          copy(found);
          return `${start}${path}.js`;
        }
        return `${start}./${relative(dirname(target), contract).replace(/\.d\.ts$/, '.js')}`;
      },
    );
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
  };
  for (const name of entries) copy(join(from, `${name}.d.ts`));
}

// The declarations of the client come with the program; the hooks have a compilation of their own.
const { status } = spawnSync(join('node_modules', '.bin', 'tsc'), ['-p', 'packages/react'], {
  stdio: 'inherit',
});
if (status !== 0) process.exit(status ?? 1);
for (const { name, entries } of packages) {
  const folder = join('packages', name);
  const out = join(folder, 'dist');
  rmSync(out, { recursive: true, force: true });
  await bundle(folder, entries);
  copyDeclarations(join('dist', folder, 'src'), out, entries);
}
writeFileSync(join('packages', 'client', 'dist', 'contract.d.ts'), await contractTypes());
