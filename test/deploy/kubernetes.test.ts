import { spawnSync } from 'node:child_process';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { readConfig } from '../../src/base/settings.js';
import { allBlocks } from '../docs/blocks.js';
import { at } from '../support/json.js';
import { natsServerBinary } from '../support/nats.js';
import { tempDir } from '../support/tempDir.js';
import { readDockerfile, repository } from './dockerfile.js';

/** The modules of `kubernetes-types` that declare the kinds of each API. */
const modules: Readonly<Record<string, string>> = {
  v1: 'core/v1',
  'apps/v1': 'apps/v1',
  'policy/v1': 'policy/v1',
  'networking.k8s.io/v1': 'networking/v1',
};

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
}

const text = readFileSync(join(repository, 'deploy/kubernetes/parley.yaml'), 'utf8');
const manifests = parseAllDocuments(text).map((document): Manifest => document.toJS());

/** The value at these names in the manifest of a kind. */
const inOnly = (kind: string, ...names: readonly (string | number)[]): unknown => {
  const found = manifests.filter((manifest) => manifest.kind === kind);
  expect(found, kind).to.have.length(1);
  return at(found[0], ...names);
};

/** What the compiler says of these manifests as values of their kinds' types. */
function typeErrors(all: readonly Manifest[]): string {
  const dir = tempDir();
  symlinkSync(join(repository, 'node_modules'), join(dir, 'node_modules'));
  const values = all.map(
    (manifest) =>
      `(${JSON.stringify(manifest, null, 1)}) satisfies import('kubernetes-types/${modules[manifest.apiVersion]}').${manifest.kind};`,
  );
  writeFileSync(join(dir, 'manifests.ts'), `${values.join('\n')}\nexport {};\n`);
  const tsc = join(repository, 'node_modules/.bin/tsc');
  const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--skipLibCheck', '--types', ''];
  const { stdout, stderr } = spawnSync(tsc, [...flags, 'manifests.ts'], { cwd: dir, encoding: 'utf8' });
  return stdout + stderr;
}

describe('the manifests for Kubernetes', () => {
  it('have the fields and types of their kinds', () => {
    expect(manifests.map(({ kind }) => kind)).to.include.members([
      'Deployment',
      'PodDisruptionBudget',
      'Service',
    ]);
    for (const { apiVersion } of manifests) expect(modules, apiVersion).to.have.property(apiVersion);
    expect(typeErrors(manifests)).to.equal('');
  });

  it('would be found wrong with a field that their kind does not have, or of another type', () => {
    const spec = Object.entries(inOnly('Deployment', 'spec') ?? {});
    const withSpec = (...changed: typeof spec) =>
      manifests
        .filter(({ kind }) => kind === 'Deployment')
        .map((deployment) => ({ ...deployment, spec: Object.fromEntries([...spec, ...changed]) }));
    expect(typeErrors(withSpec())).to.equal('');
    expect(typeErrors(withSpec(['stratgy', {}]))).to.include('stratgy');
    expect(typeErrors(withSpec(['replicas', 'three']))).to.include("to type 'number'");
  });

  it('give the nodes settings that they take', () => {
    const data = Object.fromEntries(
      Object.entries(inOnly('ConfigMap', 'data') ?? {}).map(([name, value]) => [name, String(value)]),
    );
    expect(data).to.include.all.keys('PORT', 'HOST');
    const secret = {
      MASTER_KEY: Buffer.alloc(32, 7).toString('base64'),
      MONGO_URL: 'mongodb://mongo:27017/parley',
      NATS_URL: 'nats://nats:4222',
    };
    const config = readConfig({ ...readDockerfile().env, ...data, ...secret });
    expect(config).to.include({ PORT: 3000, METRICS_PORT: 9464, HOST: '0.0.0.0', DATA_DIR: '/data' });
    for (const name of Object.keys(data)) expect(Object.keys(config), name).to.include(name);
  });

  it('are not needed for a cluster: docs/cluster.md has settings that a node takes', () => {
    const blocks = allBlocks().filter(({ file, info }) => file === 'docs/cluster.md' && info === 'ini');
    const lines = blocks.flatMap(({ code }) => code.trim().split('\n'));
    const given = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)));
    const config = readConfig({ ...given, MASTER_KEY: Buffer.alloc(32, 7).toString('base64') });
    expect(config.NATS_URL).to.have.length(3);
    expect(config).to.include({ TRUST_PROXY: 1, MONGO_URL: given.MONGO_URL });
  });

  it('have servers of NATS whose configuration nats-server takes', function () {
    const binary = natsServerBinary();
    if (binary === undefined) this.skip();
    for (const file of ['nats.conf', 'nats-cluster.conf']) {
      const asked = spawnSync(binary, ['-t', '-c', join(repository, 'deploy', file)], {
        encoding: 'utf8',
      });
      expect(asked.stderr).to.include('is valid');
    }
  });

  it('ask for life and readiness where the nodes answer, and give them the time that they need', () => {
    const spec = inOnly('Deployment', 'spec', 'template', 'spec');
    const container = at(spec, 'containers', 0);
    expect(at(container, 'ports')).to.deep.equal([
      { name: 'http', containerPort: 3000 },
      { name: 'metrics', containerPort: 9464 },
    ]);
    for (const probe of ['livenessProbe', 'startupProbe'])
      expect(at(container, probe, 'httpGet')).to.deep.equal({ path: '/health', port: 'http' });
    expect(at(container, 'readinessProbe', 'httpGet')).to.deep.equal({ path: '/ready', port: 'http' });
    const sleep = Number(at(container, 'lifecycle', 'preStop', 'exec', 'command', 1));
    expect(at(spec, 'terminationGracePeriodSeconds')).to.be.above(sleep + 10);
    expect(at(spec, 'securityContext', 'runAsUser')).to.equal(Number(readDockerfile().user.split(':')[0]));
  });

  it('choose the pods of the nodes by the same label everywhere', () => {
    const labels = inOnly('Deployment', 'spec', 'template', 'metadata', 'labels');
    expect(labels).to.be.an('object').that.is.not.empty;
    for (const selector of [
      inOnly('Deployment', 'spec', 'selector', 'matchLabels'),
      inOnly('PodDisruptionBudget', 'spec', 'selector', 'matchLabels'),
      inOnly('Service', 'spec', 'selector'),
      inOnly('NetworkPolicy', 'spec', 'podSelector', 'matchLabels'),
    ])
      expect(selector).to.deep.equal(labels);
    const away = Number(inOnly('PodDisruptionBudget', 'spec', 'maxUnavailable'));
    expect(inOnly('Deployment', 'spec', 'replicas')).to.be.above(away);
  });
});
