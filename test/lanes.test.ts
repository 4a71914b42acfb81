import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
const files = readdirSync('test', { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.test.ts'),
);

describe('the lanes of the tests', () => {
  it('have each file in one of them', () => {
    const [, left = ''] = /!\(([^)]+)\)/.exec(scripts.test ?? '') ?? [];
    // The folders with long files come first, so that the lane does not end with one of them.
    const patterns = (scripts['test:system'] ?? '').matchAll(/dist\/test\/\{?([a-z0-9,]+)\}?\/\*\*/g);
    const taken = [...patterns].flatMap(([, folders = '']) => folders.split(','));
    expect(left.split('|')).to.deep.equal(taken.toSorted());
    // Those that run alone are left out of the lane of their folder.
    const alone = files.filter((name) => name.includes('/alone/')).map((name) => name.split('/')[0]);
    expect(taken).to.include.members(alone);
  });

  it('are in docs/testing.md with all that they have', () => {
    const table = readFileSync('docs/testing.md', 'utf8').split('## The tests of each promise')[1] ?? '';
    const named = [...table.matchAll(/`([\w/.]+)`/g)].map(([, name = '']) => name);
    const isNamed = (file: string) =>
      named.some((name) => name === file || (name.endsWith('/') && file.startsWith(name)));
    // This one is not about the product.
    expect(files.filter((file) => !isNamed(file))).to.deep.equal(['lanes.test.ts']);
    const gone = named.filter((name) => name.endsWith('.test.ts') && !files.includes(name));
    expect(gone).to.deep.equal([]);
  });
});
