import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { readConfig } from '../../src/base/settings.js';
import { readDockerfile, repository } from './dockerfile.js';

const read = (file: string): string => readFileSync(join(repository, file), 'utf8');

/** The environment that compose.yaml gives a node, before variables are put in. */
function settingsOfNode(): Map<string, string> {
  const block = /^ {2}environment:\n((?: {4}.*\n)+)/m.exec(read('compose.yaml'))?.[1] ?? '';
  const lines = block.matchAll(/^ {4}([A-Z_]+): (.+)$/gm);
  return new Map(Array.from(lines, ([, name = '', value = '']) => [name, value]));
}

// That the file is a valid one, CI asks the reference implementation of the Compose Specification.
describe('compose.yaml', () => {
  const settings = settingsOfNode();

  it('gives the nodes settings that there are, with values that they take', () => {
    const aKey = Buffer.alloc(32, 7).toString('base64');
    const given = Array.from(settings, ([name, value]) => [
      name,
      name === 'MASTER_KEY' ? aKey : value.replace(/^\$\{[A-Z_]+:-(.*)\}$/, '$1'),
    ]);
    const config = readConfig({ ...readDockerfile().env, ...Object.fromEntries(given) });
    expect(config).to.include({ HOST: '0.0.0.0', TRUST_PROXY: 1, DATA_DIR: '/data' });
    expect(config.MONGO_URL).to.contain('replicaSet=');
    for (const name of settings.keys()) expect(read('README.md'), name).to.contain(`\`${name}\``);
  });

  it('does not start without a master key, and says what it must be', () => {
    expect(settings.get('MASTER_KEY')).to.match(/^\$\{MASTER_KEY:\?.*32 random bytes.*\}$/);
  });

  it('gives a node longer to stop than it takes', () => {
    const [, seconds] = /stop_grace_period: (\d+)s/.exec(read('compose.yaml')) ?? [];
    expect(Number(seconds)).to.be.above(10);
  });

  it('has a node for each server that the proxy knows, at the port of the image', () => {
    const services = [...read('compose.yaml').matchAll(/^ {2}(\S+): \*node$/gm)].map(([, name]) => name);
    const port = readDockerfile().env.PORT;
    const servers = [...read('deploy/haproxy.cfg').matchAll(/^ +server \S+ (\S+)$/gm)].map(([, at]) => at);
    expect(services).to.have.length(2);
    expect(new Set(servers)).to.deep.equal(new Set(services.map((service) => `${service}:${port}`)));
  });
});
