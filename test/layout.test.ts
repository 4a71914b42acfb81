import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const root = fileURLToPath(import.meta.url).split('/dist/')[0] ?? '';
const src = join(root, 'src');

/** The rooms of `src`, from the ground up. A room imports only from itself and from rooms before it. */
const ROOMS = [
  ...['base', 'domain', 'log', 'vault', 'cluster', 'projections', 'writer'],
  ...['host', 'gateway', 'audit', 'erasure', 'subscriptions', 'http', 'app', 'cli'],
];
const MOST_FILES = 285;
const MOST_FILES_A_FOLDER = 28;
const LINES = { fewest: 40, most: 350 } as const;
/** Ports and the entries of threads and programs may be short. */
const MAY_BE_SHORT = /(Worker|Thread|main|bin|Ports|allProjections)\.ts$/;

const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const importsOf = (file: string): string[] => {
  const text = readFileSync(join(src, file), 'utf8');
  const found = text.matchAll(/^(?:import|export)\b[^;]*?\bfrom '(\.[^']+)\.js';/gm);
  return [...found].map(([, path = '']) => relative(src, join(src, dirname(file), `${path}.ts`)));
};
const imports = new Map(files.map((file) => [file, importsOf(file)]));
const linesOf = (path: string): number => readFileSync(path, 'utf8').split('\n').length - 1;
const roomOf = (file: string): string => file.split('/')[0] ?? '';

describe('the layout of src', () => {
  it('is found by this test', () => {
    expect(imports.get('app/system.ts')).to.include('gateway/startGateway.ts');
  });

  it('has only rooms that are in the order, and imports that point down', () => {
    const upward = [...imports].flatMap(([file, targets]) =>
      targets
        .filter((target) => ROOMS.indexOf(roomOf(target)) > ROOMS.indexOf(roomOf(file)))
        .map((target) => `${file} → ${target}`),
    );
    expect(upward).to.deep.equal([]);
    expect([...new Set(files.map(roomOf))]).to.have.members(ROOMS);
  });

  it('has no circle of imports between files', () => {
    const circles: string[] = [];
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): void => {
      const start = path.indexOf(file);
      if (start >= 0) {
        circles.push([...path.slice(start), file].join(' → '));
        return;
      }
      if (done.has(file)) return;
      for (const target of imports.get(file) ?? []) visit(target, [...path, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
    expect(circles).to.deep.equal([]);
  });

  it('has no two files of one name', () => {
    const names = files.map((file) => basename(file));
    expect(names.filter((name, i) => names.indexOf(name) !== i)).to.deep.equal([]);
  });

  it(`has at most ${MOST_FILES} files, ${MOST_FILES_A_FOLDER} a folder, of ${LINES.fewest} to ${LINES.most} lines`, () => {
    expect(files.length).to.be.at.most(MOST_FILES);
    const folders = new Map<string, number>();
    for (const file of files) folders.set(dirname(file), (folders.get(dirname(file)) ?? 0) + 1);
    expect([...folders].filter(([, count]) => count > MOST_FILES_A_FOLDER)).to.deep.equal([]);
    const sizes = files.map((file) => ({ file, lines: linesOf(join(src, file)) }));
    expect(sizes.filter(({ lines }) => lines > LINES.most)).to.deep.equal([]);
    const short = sizes.filter(({ file, lines }) => lines < LINES.fewest && !MAY_BE_SHORT.test(file));
    expect(short).to.deep.equal([]);
  });

  it('imports nothing of the packages', () => {
    const targets = files.flatMap((file) => [...readFileSync(join(src, file), 'utf8').matchAll(IMPORTED)]);
    expect(
      targets.map(([, , from]) => from).filter((from) => /packages|@parley/.test(from ?? '')),
    ).to.deep.equal([]);
  });
});

const packages = join(root, 'packages');
/** Each import: whether it is of types only, and where from. */
const IMPORTED = /^(?:import|export)( type)?\b[^;]*?\bfrom '([^']+)';/gm;

describe('the layout of the packages', () => {
  const sources = readdirSync(packages, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /^\w+\/src\/.*\.tsx?$/.test(file),
  );
  const imported = sources.flatMap((file) =>
    [...readFileSync(join(packages, file), 'utf8').matchAll(IMPORTED)].map(([, type, from = '']) => {
      const target = from.startsWith('.') ? relative(root, join(packages, dirname(file), from)) : from;
      return { file, target, isType: type !== undefined };
    }),
  );

  it('is found by this test', () => {
    expect(imported.map(({ target }) => target)).to.include.members(['packages/client/src/types.js', 'idb']);
  });

  it('has of the server only types, and of the contract only', () => {
    const ofServer = imported.filter(({ target }) => !/^(packages\/|[@a-z][^/]*$|@parley\/)/.test(target));
    const unlike = ofServer.filter(
      ({ target, isType }) =>
        !isType || !/^src\/(base\/errors|domain\/(contract|userMessageChat))\.js$/.test(target),
    );
    expect(ofServer).to.not.be.empty;
    expect(unlike).to.deep.equal([]);
  });

  it(`has files of ${LINES.fewest} to ${LINES.most} lines`, () => {
    const sizes = sources.map((file) => ({ file, lines: linesOf(join(packages, file)) }));
    expect(sizes.filter(({ lines }) => lines > LINES.most || lines < LINES.fewest)).to.deep.equal([]);
  });

  it('reaches from one package into another by its name only', () => {
    const across = imported.filter(
      ({ file, target }) =>
        target.startsWith('packages/') && !target.startsWith(`packages/${file.split('/')[0]}/`),
    );
    expect(across).to.deep.equal([]);
  });
});
