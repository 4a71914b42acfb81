import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { Metrics } from '../../src/base/metrics.js';
import { type AnyEvent, declarationOf, eventTypes, type Recorded } from '../../src/domain/events.js';
import { checkReadiness, type VitalParts } from '../../src/http/operations.js';
import { repository } from '../deploy/dockerfile.js';

const read = (file: string): string => readFileSync(`${repository}/${file}`, 'utf8');
const filesUnder = (folder: string, ending: string): string[] =>
  readdirSync(`${repository}/${folder}`, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending))
    .map((file) => `${folder}/${file}`);

/** The cells of the tables of a document, a row each. */
const rowsOf = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );

/** The texts in backticks. */
const codesIn = (text: string): string[] => Array.from(text.matchAll(/`([^`]+)`/g), ([, code = '']) => code);

describe('The facts in the documentation', () => {
  const source = filesUnder('src', '.ts').map(read).join('\n');

  it('name only files that exist', () => {
    const paths = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...filesUnder('docs', '.md')].flatMap(
      (file) =>
        Array.from(
          read(file).matchAll(/`((?:bench|demo|deploy|packages|site|src|test|tools|web)\/[\w./-]+)`/g),
          ([, path = '']) => ({ file, path }),
        ),
    );
    // The table of tests names their files below `test/`. The tutorial names files of its own.
    const isElsewhere = (file: string, path: string) =>
      file === 'docs/tutorial.md' || (file === 'docs/testing.md' && existsSync(`${repository}/test/${path}`));
    const missing = paths.filter(
      ({ file, path }) => !existsSync(`${repository}/${path}`) && !isElsewhere(file, path),
    );
    expect(paths.length).to.be.above(100);
    expect(missing).to.deep.equal([]);
  });

  it('of docs/log-format.md have the additional data of each sealed field, and no other', () => {
    const rows = rowsOf(read('docs/log-format.md')).filter(([, data]) =>
      /^`(user|room):<.*\\\|/.test(data ?? ''),
    );
    const shown = new Set(
      rows.flatMap(([fields = '', data = '']) => {
        const [names, types] = fields.split(' of ').map(codesIn);
        const all = eventTypes.filter((type) => types?.includes(type));
        return all.flatMap((type) =>
          (names?.length ? names : fieldsOf(declarationOf(type))).map((field) =>
            `${type}: ${data}`
              .replaceAll(/`|\\/g, '')
              .replaceAll("<reporter's id>", '<user id>')
              .replaceAll('<type>', type)
              .replaceAll('<field>', field),
          ),
        );
      }),
    );
    const declared = eventTypes.flatMap((type) => contextsOf(declarationOf(type)));
    expect([...shown]).to.have.members(declared);
  });

  it('of docs/log-format.md have each event whose data keeps or lacks the id of its stream', () => {
    const [, exceptions = ''] =
      /There are four exceptions\.([\s\S]*?)Neither/.exec(read('docs/log-format.md')) ?? [];
    const named = codesIn(exceptions).filter((code) => eventTypes.some((type) => type === code));
    expect(named).to.have.members(eventTypes.filter((type) => !declarationOf(type).hasIdField));
  });

  it('of docs/operations.md have each metric of a node', async () => {
    const metrics = new Metrics();
    metrics.addSubscriptions(() => []);
    const rendered = (await metrics.render()).matchAll(/^# TYPE (parley_\w+)/gm);
    const gauges = source.matchAll(/^ {2}(parley_\w+): /gm);
    const names = new Set([...rendered, ...gauges].map(([, name]) => name));
    const shown = rowsOf(read('docs/operations.md')).flatMap(([metric = '']) =>
      Array.from(metric.matchAll(/`(parley_\w+)/g), ([, name]) => name),
    );
    expect([...names]).to.have.length.above(15);
    expect([...new Set(shown)]).to.have.members([...names]);
  });

  it('of docs/operations.md have log lines that the source writes', () => {
    const lines = rowsOf(read('docs/operations.md')).flatMap(([level = '', line = '']) =>
      ['fatal', 'error', 'warn', 'info', 'debug'].includes(level) ? codesIn(line) : [],
    );
    // A value is an ellipsis in the document and an expression in the source.
    const parts = lines.flatMap((line) => line.split(/ ?(?:…|\d+) ?/)).filter((part) => /\w{3}/.test(part));
    expect(parts).to.have.length.above(40);
    expect(parts.filter((part) => !source.includes(part))).to.deep.equal([]);
  });

  it('of docs/operations.md have the parts that `/ready` names, in the order in which it looks', () => {
    const broken: VitalParts = {
      isRetired: true,
      heads: { isBroken: true },
      writers: { oldestMs: 6000 },
      progress: { lagMs: () => 6000 },
      bus: { isConnected: false },
    };
    const well: VitalParts = {
      isRetired: false,
      heads: { isBroken: false },
      writers: { oldestMs: 0 },
      progress: { lagMs: () => 0 },
      bus: { isConnected: true },
    };
    const fine = { lost: undefined, isAhead: false };
    const mended: Partial<VitalParts>[] = [
      {},
      { isRetired: false },
      { heads: well.heads, writers: well.writers },
      { progress: well.progress },
    ];
    let parts = broken;
    const found = mended.map((repair) => {
      parts = { ...parts, ...repair };
      return checkReadiness(parts, fine).failing;
    });
    expect(checkReadiness(broken, { ...fine, lost: 'lock' }).failing).to.equal('lock');
    const { index = 0 } = /^\| `failing` \|/m.exec(read('docs/operations.md')) ?? {};
    const [, , ...rows] = rowsOf(read('docs/operations.md').slice(index).split('\n\n')[0] ?? '');
    const [lost, lock, ...others] = rows.map(([failing = '']) => codesIn(failing));
    expect(others.flat()).to.deep.equal(found);
    expect([...(lost ?? []).slice(0, 4), ...(lock ?? [])]).to.deep.equal([
      ...['log', 'vault', 'key', 'projections', 'lock'],
    ]);
  });

  it('of docs/operations.md ask MongoDB for collections and fields that nodes write', () => {
    const asked = codesIn(read('docs/operations.md').replaceAll('\n', ' ')).filter((code) =>
      code.startsWith('db.'),
    );
    const names = asked.flatMap((code) => code.match(/\w+(?=\.find|: )/g) ?? []);
    expect(names).to.include.members(['members', 'hasLeft']);
    const text = read('src/cluster/mongoCluster.ts');
    expect(names.filter((name) => !new RegExp(`'${name}'|readonly ${name}:`).test(text))).to.deep.equal([]);
  });
});

const fieldsOf = ({ sealed = [] }: AnyEvent): string[] => sealed.map(({ field }) => field);

/** The additional data of each sealed field of this type, with names in brackets instead of values. */
function contextsOf({ type, stream, sealed = [] }: AnyEvent): string[] {
  const data = {
    userId: '<user id>',
    roomId: '<room id>',
    messageId: '<message id>',
    reportId: '<report id>',
    by: '<user id>',
    seq: 1,
    rev: type === 'MessageEdited' ? 7 : 0,
  };
  // Only what contexts are made of.
  const event = {
    type,
    stream: `${stream.kind}:<user id>`,
    version: '<version>',
    actor: '<user id>',
    data,
  } as unknown;
  return sealed.map(({ of }) => {
    // As above.
    const { context } = of(event as Recorded);
    return `${type}: ${context.replace('|7|', '|<rev>|')}`;
  });
}
