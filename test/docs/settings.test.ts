import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { readConfig } from '../../src/base/settings.js';
import { repository } from '../deploy/dockerfile.js';

const read = (file: string): string => readFileSync(`${repository}/${file}`, 'utf8');

/** The settings in .env.example, with the `#` before each and the quotes around a value removed. */
const settings = new Map(
  Array.from(read('.env.example').matchAll(/^#([A-Z_]+)=(.*)$/gm), ([, name = '', value = '']) => [
    name,
    value.replace(/^'(.*)'$/, '$1'),
  ]),
);

describe('.env.example', () => {
  it('has the settings of the table in README.md', () => {
    const [, table = ''] = /^\| variable .*\n((?:\|.*\n)+)/m.exec(read('README.md')) ?? [];
    const names = table
      .split('\n')
      .flatMap((row) => Array.from(row.split('|')[1]?.matchAll(/`([A-Z_]+)`/g) ?? [], ([, name]) => name));
    expect(names).to.have.length.above(10);
    expect([...settings.keys()]).to.have.members(names);
  });

  it('has only settings that a node reads, with valid values', () => {
    const config = readConfig(Object.fromEntries(settings));
    const empty = [...settings].flatMap(([name, value]) => (value === '' ? [name] : []));
    expect(empty).to.deep.equal(['MASTER_KEY']);
    expect([...Object.keys(config), ...empty]).to.have.members([...settings.keys()]);
  });

  it('has the defaults where a setting has one', () => {
    const defaults = Object.entries(readConfig({}));
    const given = readConfig(Object.fromEntries(settings));
    expect(defaults).to.have.length.above(5);
    // Of a list that is empty by default, there is an example.
    const isExample = (value: unknown) => Array.isArray(value) && value.length === 0;
    for (const [name, value] of defaults)
      if (!isExample(value)) expect(given, name).to.have.deep.property(name, value);
  });
});
