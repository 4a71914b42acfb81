/**
 * Bundles the compiled program with the packages that it uses into `dist/server/lib`: `node tools/bundle.mjs`, after the
 * program. A start reads some twenty files instead of a thousand, which saves more than a third of its time, and an
 * installation has only the packages that cannot be bundled: those with binaries, the drivers, and the optional ones.
 */
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve, sep } from 'node:path';
import { rolldown } from 'rolldown';

const from = 'dist/src';
const to = 'dist/server/lib';
const { dependencies, optionalDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
/** Installed beside the bundle. */
const installed = Object.keys({ ...dependencies, ...optionalDependencies });
const isInstalled = (id) => installed.some((name) => id === name || id.startsWith(`${name}/`));

/** What Node is started with, each thread that the program starts, and what a thread loads by its address. */
const isEntry = (file) => /(?:^app.main|^cli.bin|Worker|allProjections)\.ts$/.test(file);
const entries = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter(isEntry)
  .map((file) => file.replace(/ts$/, 'js'));

/** The name and licence of each bundled package, which their licences ask for. */
function licencesOf(chunks) {
  const modules = chunks.flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : []));
  const inside = `node_modules${sep}`;
  const folders = modules.flatMap((id) => {
    const at = id.lastIndexOf(inside) + inside.length;
    if (at < inside.length || !existsSync(id)) return [];
    const [scope, name] = id.slice(at).split(sep);
    return [join(id.slice(0, at), scope.startsWith('@') ? join(scope, name) : scope)];
  });
  return [...new Set(folders)].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const file = readdirSync(folder).find((found) => /^(?:un)?licen[cs]e/i.test(found));
    const text = file ? readFileSync(join(folder, file), 'utf8').trim() : `Licence: ${license}`;
    return `${name} ${version}\n\n${text}\n`;
  });
}

rmSync(to, { recursive: true, force: true });
const bundle = await rolldown({
  input: Object.fromEntries(entries.map((file) => [basename(file, '.js'), resolve(from, file)])),
  platform: 'node',
  external: isInstalled,
  // `depd` names its functions by `eval`.
  checks: { eval: false },
});
const { output } = await bundle.write({
  dir: to,
  // One folder: a thread's file is found beside the file that starts it.
  entryFileNames: '[name].js',
  chunkFileNames: '[name]-[hash].js',
});
writeFileSync(join(to, 'LICENCES.txt'), licencesOf(output).join(`\n${'-'.repeat(80)}\n\n`));
chmodSync(join(to, 'bin.js'), 0o755);
