import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../support/freePort.js';
import { tempDir } from '../support/tempDir.js';
import { repository } from './dockerfile.js';
import { Program, programIsHere } from './program.js';

/** A proxy of deploy/ that runs in front of one node. */
export interface RunningProxy {
  /** Where clients reach it. */
  readonly url: string;
  readonly wsUrl: string;
  stop(): Promise<void>;
}

/** One of the proxies for which deploy/ has a configuration. */
export interface ProxyKind {
  readonly name: string;
  /** Whether its program is on this machine. */
  isHere(): boolean;
  /** Runs it in front of a node, `host:port`. With `silence`, a silent socket is cut after that, and not after 90 s. */
  before(node: string, silence?: string): Promise<RunningProxy>;
}

const read = (file: string): string => readFileSync(join(repository, 'deploy', file), 'utf8');

/** After how long HAProxy cuts a silent socket, and a silent request. */
interface HaproxyTimes {
  readonly silence?: string;
  readonly request?: string;
}

/** Runs HAProxy with the configuration of deploy/, but for these times, in front of one node or two, `host:port` each. */
export async function startHaproxy(
  [first, second]: readonly [first: string, second?: string],
  { silence = '90s', request = '60s' }: HaproxyTimes = {},
): Promise<RunningProxy> {
  const port = await freePort();
  const config = read('haproxy.cfg')
    .replace('bind :8080', `bind 127.0.0.1:${port}`)
    .replace('timeout tunnel 90s', `timeout tunnel ${silence}`)
    .replace(/^( *timeout (?:client|server)) 60s$/gm, `$1 ${request}`)
    .replaceAll(second === undefined ? /^ +server node-2 .*$/gm : ' node-2:3000', second ? ` ${second}` : '')
    .replaceAll(' node-1:3000', ` ${first}`);
  const file = join(tempDir(), 'haproxy.cfg');
  writeFileSync(file, config);
  return running(['haproxy', '-db', '-f', file], port);
}

export const haproxyIsHere = (): boolean => programIsHere('haproxy', 'haproxy', '-v');

const haproxy: ProxyKind = {
  name: 'HAProxy',
  isHere: haproxyIsHere,
  before: (node, silence) => startHaproxy([node], silence === undefined ? {} : { silence }),
};

const nginx: ProxyKind = {
  name: 'nginx',
  isHere: () => programIsHere('nginx', 'nginx-light', '-v'),
  async before(node, silence = '90s') {
    const [port, dir] = [await freePort(), tempDir()];
    const site = read('nginx.conf')
      .replace('listen 8080', `listen 127.0.0.1:${port}`)
      .replace('127.0.0.1:3000', node)
      .replaceAll(/(proxy_(?:read|send)_timeout) 90s/g, `$1 ${silence}`);
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${dir}/${name};`,
    );
    // What a distribution's own nginx.conf has around a site.
    const around = `user root; daemon off; pid ${dir}/pid; error_log stderr; worker_processes 1;
events {} http { access_log off; ${paths.join(' ')}\n${site}\n}`;
    writeFileSync(join(dir, 'nginx.conf'), around);
    return running(['nginx', '-e', 'stderr', '-c', join(dir, 'nginx.conf')], port);
  },
};

const caddy: ProxyKind = {
  name: 'Caddy',
  isHere: () => programIsHere('caddy', 'caddy', 'version'),
  // It cuts no socket for its silence.
  async before(node) {
    const [port, dir] = [await freePort(), tempDir()];
    // Without TLS, and without its own port for administration.
    writeFileSync(join(dir, 'Caddyfile'), `{\n\tadmin off\n}\n${read('Caddyfile')}`);
    const env = { HOME: dir, PARLEY_SITE: `http://127.0.0.1:${port}`, PARLEY_NODES: node };
    return running(['caddy', 'run', '--adapter', 'caddyfile', '--config', join(dir, 'Caddyfile')], port, env);
  },
};

function running(
  command: readonly [string, ...string[]],
  port: number,
  env: Readonly<Record<string, string>> = {},
): RunningProxy {
  const program = new Program(command, env);
  const at = `127.0.0.1:${port}`;
  return { url: `http://${at}`, wsUrl: `ws://${at}/ws`, stop: () => program.stop() };
}

export const proxies: readonly ProxyKind[] = [haproxy, nginx, caddy];
