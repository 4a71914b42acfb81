import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Browser } from 'playwright-core';
import { buildVerifier, runVerifier } from '../e2e/audit/verifier.js';
import { openBrowser } from '../support/browser.js';
import { ask } from '../support/http.js';
import { tempDir } from '../support/tempDir.js';
import { type AuditWorld, auditWorld, openConsole } from './auditWorld.js';

type Change = (path: string, body: Buffer) => Buffer;

/** A proxy that may change the server's answers. */
async function lyingProxy(to: string, change: Change): Promise<{ url: string; server: Server }> {
  const server = createServer((request, response) => {
    const path = request.url ?? '/';
    const authorization = request.headers.authorization;
    void fetch(to + path, { headers: authorization === undefined ? {} : { authorization } }).then(
      async (answer) => {
        const body = change(path, Buffer.from(await answer.arrayBuffer()));
        response.writeHead(answer.status, {
          'content-type': answer.headers.get('content-type') ?? 'text/plain',
        });
        response.end(body);
      },
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // A TCP server's address is never a string.
  return { url: `http://127.0.0.1:${port}`, server };
}

describe('The verdict on a message, in the browser and by the Go verifier', function () {
  this.timeout(240_000);
  let browser: Browser;
  let verifier: string;
  let world: AuditWorld;
  let place: { readonly partition: number; readonly offset: number };

  before(async function () {
    const opened = await openBrowser();
    const built = buildVerifier();
    if (!opened || built === undefined) {
      await opened?.close();
      return this.skip();
    }
    [browser, verifier] = [opened, built];
    world = await auditWorld();
    const path = `GET /audit/events?stream=room:${world.roomId}&type=MessageSent&limit=10`;
    const { body } = await ask(world.server.url, path, { token: world.session.token });
    place = body.events[9];
  });
  after(async () => {
    await browser?.close();
    await world?.close();
  });

  /** The verdicts of the browser and of the Go verifier, both through the proxy. */
  async function verdicts(change: Change): Promise<{ browser: string; go: number | null; said: string }> {
    const { url, server } = await lyingProxy(world.server.url, change);
    try {
      const page = await browser.newPage();
      await openConsole(
        page,
        { server: { url }, session: world.session },
        `#/proof?partition=${place.partition}&offset=${place.offset}`,
      );
      const verdict = (await page.locator('.verdict').textContent()) ?? '';
      await page.close();
      const keys = join(tempDir(), 'keys');
      // The keys come from the server itself, not through the proxy.
      const { text } = await ask(world.server.url, 'GET /audit/log/key', { token: world.session.token });
      writeFileSync(keys, text);
      const { code, out, err } = await runVerifier(verifier, { url, keys, token: world.session.token });
      return { browser: verdict, go: code, said: out + err };
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  it('agree on a valid proof', async () => {
    const { browser: seen, go, said } = await verdicts((_, body) => body);
    expect(seen).to.match(/^Proof valid/);
    expect(go, said).to.equal(0);
    expect(said).to.match(/^example\.org\/log\/0 \d+\n$/);
  });

  it('agree on an invalid proof, when one bit of the entry or of a hash was changed', async () => {
    const mine = new RegExp(`/audit/log/${place.partition}/proof\\?offset=${place.offset}(&|$)`);
    const flip = (text: string, at: number): string => {
      const bytes = Buffer.from(text, 'base64');
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      return bytes.toString('base64');
    };
    const changes = [
      (proof: Proof) => ({ ...proof, entry: flip(proof.entry, 30) }),
      (proof: Proof) => ({ ...proof, hashes: proof.hashes.map((hash) => flip(hash, 31)) }),
    ];
    for (const change of changes) {
      const {
        browser: seen,
        go,
        said,
      } = await verdicts((path, body) =>
        mine.test(path) ? Buffer.from(JSON.stringify(change(JSON.parse(body.toString())))) : body,
      );
      expect(seen).to.match(/^Proof invalid/);
      expect(go, said).to.equal(1);
      expect(said).to.include(`event ${place.offset}:`);
    }
  });
});

interface Proof {
  readonly entry: string;
  readonly hashes: readonly string[];
}
