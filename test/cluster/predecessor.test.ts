import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { recordNode } from '../../src/cluster/openCluster.js';

const tells = existsSync('/proc/sys/kernel/random/boot_id');

describe('the previous node of a data directory', () => {
  const made: string[] = [];
  const directory = () => {
    const dir = mkdtempSync(join(tmpdir(), 'parley-predecessor-'));
    made.push(dir);
    return dir;
  };

  after(() => {
    for (const dir of made) rmSync(dir, { recursive: true });
  });

  it('is none at first, then the one that was recorded last', () => {
    const dir = directory();
    const seen = ['a', 'b', 'c'].map((node) => recordNode(dir, node));
    expect(seen).to.deep.equal(tells ? [undefined, 'a', 'b'] : [undefined, undefined, undefined]);
  });

  it('is unknown in a copy of the directory', () => {
    const [dir, copy] = [directory(), directory()];
    recordNode(dir, 'a');
    cpSync(dir, copy, { recursive: true });
    expect(recordNode(copy, 'b')).to.equal(undefined);
    expect(recordNode(copy, 'c')).to.equal(tells ? 'b' : undefined);
  });

  it('is unknown if the record cannot be read', () => {
    const dir = directory();
    recordNode(dir, 'a');
    writeFileSync(join(dir, 'node'), '{"node": "a"');
    expect(recordNode(dir, 'b')).to.equal(undefined);
  });
});
