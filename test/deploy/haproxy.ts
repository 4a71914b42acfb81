import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../support/freePort.js';
import { tempDir } from '../support/tempDir.js';
import { repository } from './dockerfile.js';

/** Whether HAProxy is on this machine; with `CI=true` it must be. */
export function haproxyIsHere(): boolean {
  const here = spawnSync('haproxy', ['-v']).status === 0;
  if (here) return true;
  if (process.env.CI === 'true') throw new Error('CI needs HAProxy: apt-get install haproxy');
  console.warn('left out: the suite of the proxy; to run it, install HAProxy');
  return false;
}

/** HAProxy with the configuration of deploy/, but for the addresses. */
export class HaProxy {
  private constructor(
    private readonly child: ChildProcess,
    readonly url: string,
  ) {}

  /** In front of two nodes, `host:port` each. With `timeout`, silent requests are cut off after that, and not after 60 s. */
  static async before(first: string, second: string, timeout = '60s'): Promise<HaProxy> {
    const port = await freePort();
    const config = readFileSync(join(repository, 'deploy/haproxy.cfg'), 'utf8')
      .replace('bind :8080', `bind 127.0.0.1:${port}`)
      .replace(/^( *timeout (?:client|server)) 60s$/gm, `$1 ${timeout}`)
      .replaceAll(' node-1:3000', ` ${first}`)
      .replaceAll(' node-2:3000', ` ${second}`);
    const file = join(tempDir(), 'haproxy.cfg');
    writeFileSync(file, config);
    const child = spawn('haproxy', ['-db', '-f', file], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    child.once('exit', (code) => {
      if (code) console.error(`HAProxy ended with ${code}:\n${said}`);
    });
    return new HaProxy(child, `http://127.0.0.1:${port}`);
  }

  get wsUrl(): string {
    return `${this.url.replace('http', 'ws')}/ws`;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null) return;
    this.child.kill('SIGTERM');
    await once(this.child, 'exit');
  }
}
