import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import fc from 'fast-check';
import { fileHolds, makeDirectory } from '../../src/base/files.js';
import { tempDir } from '../support/tempDir.js';

const MIB = 1024 * 1024;

describe('fileHolds', () => {
  const path = join(tempDir(), 'file');

  it('finds a text anywhere, also across two reads, and nothing that is not there', () => {
    const place = fc.oneof(fc.nat(3 * MIB), fc.integer({ min: MIB - 20, max: MIB + 20 }));
    fc.assert(
      fc.property(place, fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }), (at, text) => {
        const bytes = Buffer.alloc(3 * MIB + 200, 0xff);
        bytes.write(text, at);
        writeFileSync(path, bytes);
        expect(fileHolds(path, ['not there', text])).to.equal(true);
        expect(fileHolds(path, [Uint8Array.of(1, 2, 3), new TextEncoder().encode(text)])).to.equal(true);
        expect(fileHolds(path, ['not there', `${text}!`, Uint8Array.of(1, 2, 3)])).to.equal(false);
      }),
      { numRuns: 20 },
    );
  });

  it('finds nothing in an empty file, and no text where none is asked for', () => {
    writeFileSync(path, '');
    expect(fileHolds(path, ['x'])).to.equal(false);
    expect(fileHolds(path, [])).to.equal(false);
  });
});

describe('a new directory', () => {
  it('is made with those above it, for its owner alone, and removed again as far as it is empty', () => {
    const folder = tempDir();
    const remove = makeDirectory(join(folder, 'a', 'b', 'c'));
    expect(statSync(join(folder, 'a', 'b', 'c')).mode & 0o777).to.equal(0o700);
    remove();
    expect(readdirSync(folder)).to.deep.equal([]);
    const leave = makeDirectory(join(folder, 'a', 'b'));
    writeFileSync(join(folder, 'a', 'file'), '');
    leave();
    expect(readdirSync(join(folder, 'a'))).to.deep.equal(['file']);
  });

  it('is refused at once where the system has directories of its own', function () {
    if (!existsSync('/proc/self')) return this.skip();
    expect(() => makeDirectory('/proc/parley/data')).to.throw('ENOENT');
  });

  it('is made in this way alone: Node’s recursive mkdir never returns there', () => {
    const src = fileURLToPath(new URL('../../../src/', import.meta.url));
    const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.ts'),
    );
    expect(files).to.include('base/files.ts');
    for (const file of files)
      expect(readFileSync(join(src, file), 'utf8'), file).not.to.match(/mkdir(Sync)?\([^;]*recursive/);
  });
});
