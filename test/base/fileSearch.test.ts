import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { fileHolds } from '../../src/base/fileSearch.js';
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
