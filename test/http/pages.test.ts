import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingHttpHeaders, request } from 'node:http';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { expect } from 'chai';
import { type FakeTarget, startHttp } from '../support/http.js';

interface Reply {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

describe('the pages', () => {
  let target: FakeTarget;
  before(async () => {
    target = await startHttp();
  });
  after(() => target.close());

  /** As it comes over the wire: `fetch` would undo the compression. */
  async function raw(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Reply> {
    const asked = request(target.url + path, { method, headers });
    asked.end();
    const [response] = await once(asked, 'response');
    const parts: Buffer[] = [];
    for await (const part of response) parts.push(part);
    return { status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) };
  }
  const script = async (): Promise<string> => {
    const { body } = await raw('/');
    return /<script[^>]* src="(?<path>[^"]+)"/.exec(body.toString())?.groups?.path ?? 'no script';
  };

  it('are at /, /audit and /admin, without a sign-in', async () => {
    for (const path of ['/', '/audit', '/admin']) {
      const { status, headers, body } = await raw(path);
      expect(status, path).to.equal(200);
      expect(headers['content-type']).to.match(/^text\/html/);
      expect(body.toString()).to.match(/^<!doctype html>/i);
    }
  });

  it('allow scripts and styles of this server only, and hold none themselves', async () => {
    for (const path of ['/', '/audit', '/admin']) {
      const { headers, body } = await raw(path);
      const policy = String(headers['content-security-policy']);
      expect(policy).to.contain("default-src 'none'").and.to.contain("script-src 'self'");
      expect(policy).not.to.contain('unsafe');
      expect(body.toString()).not.to.match(/<script(?![^>]* src=)|<style| style=| on\w+=|https?:/);
    }
  });

  it('are compressed as the client accepts', async () => {
    const path = await script();
    const plain = await raw(path);
    const br = await raw(path, { 'accept-encoding': 'gzip, br' });
    const gz = await raw(path, { 'accept-encoding': 'gzip' });
    const unwilling = await raw(path, { 'accept-encoding': 'deflate' });
    expect([plain, br, gz, unwilling].map(({ headers }) => headers['content-encoding'])).to.deep.equal([
      undefined,
      'br',
      'gzip',
      undefined,
    ]);
    expect(brotliDecompressSync(br.body).equals(plain.body)).to.equal(true);
    expect(gunzipSync(gz.body).equals(plain.body)).to.equal(true);
    expect(unwilling.body.equals(plain.body)).to.equal(true);
    for (const { headers } of [plain, br, gz]) expect(headers.vary).to.match(/accept-encoding/i);
    expect(new Set([plain, br, gz].map(({ headers }) => headers.etag)).size).to.equal(3);
  });

  it('are checked each time, and sent again only when they have changed', async () => {
    const first = await raw('/');
    expect(first.headers['cache-control']).to.equal('no-cache');
    const second = await raw('/', { 'if-none-match': String(first.headers.etag) });
    expect([second.status, second.body.length]).to.deep.equal([304, 0]);
  });

  it('let browsers keep assets, which are named by their content', async () => {
    const { headers } = await raw(await script());
    expect(headers['cache-control']).to.contain('immutable');
  });

  describe('of the chat', () => {
    const DOCUMENT = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };
    const hasForm = ({ body }: Reply): boolean => body.includes('id="password"');

    it('has the form in it for a browser that asks for the first time, in its language', async () => {
      for (const [wanted, language, direction] of [
        [undefined, 'en', 'ltr'],
        ['de-AT,de;q=0.9,en;q=0.8', 'de', 'ltr'],
        ['sv,ar;q=0.5', 'ar', 'rtl'],
        ['sv', 'en', 'ltr'],
      ] as const) {
        const reply = await raw('/', { ...DOCUMENT, ...(wanted && { 'accept-language': wanted }) });
        expect(reply.status).to.equal(200);
        expect(hasForm(reply), wanted).to.equal(true);
        expect(reply.body.toString()).to.contain(`<html lang="${language}" dir="${direction}">`);
        expect(reply.headers.vary).to.match(/accept-language/i);
        expect(reply.body.toString()).not.to.match(/<script(?![^>]* src=)| style=| on\w+=|https?:/);
        expect(reply.headers['cache-control']).to.equal('no-cache');
      }
    });

    it('allows the styles of the form by their hash alone', async () => {
      const { headers, body } = await raw('/', DOCUMENT);
      const styles = [...body.toString().matchAll(/<style>(.*?)<\/style>/gs)];
      expect(styles).to.have.length(1);
      const hash = createHash('sha256')
        .update(styles[0]?.[1] ?? '')
        .digest('base64');
      const policy = String(headers['content-security-policy']);
      expect(policy).to.contain(`style-src 'self' 'sha256-${hash}';`).and.to.contain("script-src 'self';");
      expect((await raw('/')).headers['content-security-policy']).to.contain("style-src 'self';");
    });

    it('is without it for a browser that has been here, where somebody may be signed in, and for scripts', async () => {
      const { headers } = await raw('/', DOCUMENT);
      const again = await raw('/', { ...DOCUMENT, 'if-none-match': String(headers.etag) });
      expect([again.status, hasForm(again)]).to.deep.equal([200, false]);
      const third = await raw('/', { ...DOCUMENT, 'if-none-match': String(again.headers.etag) });
      expect([third.status, third.body.length]).to.deep.equal([304, 0]);
      for (const reply of [await raw('/', { accept: '*/*' }), await raw('/?code=1', DOCUMENT)])
        expect([reply.status, hasForm(reply)]).to.deep.equal([200, false]);
    });

    it('is without it where not anybody may sign up', async () => {
      const closed = await startHttp(() => ({ signUp: 'closed' }));
      const answer = await fetch(closed.url, { headers: DOCUMENT });
      expect(await answer.text())
        .to.contain('id="app"')
        .and.not.contain('id="password"');
      await closed.close();
    });

    it('has no other path', async () => {
      expect((await raw('/drawn/en', DOCUMENT)).status).to.equal(404);
    });
  });

  it('accept GET, HEAD and OPTIONS', async () => {
    const head = await raw('/', {}, 'HEAD');
    expect([head.status, head.body.length]).to.deep.equal([200, 0]);
    const options = await raw('/', {}, 'OPTIONS');
    expect([options.status, options.headers.allow]).to.deep.equal([204, 'GET, HEAD, OPTIONS']);
    const wrong = await raw('/', {}, 'POST');
    expect([wrong.status, wrong.headers.allow]).to.deep.equal([405, 'GET, HEAD, OPTIONS']);
  });

  it('tell a browser that nothing is there, and other clients as JSON', async () => {
    const accept = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
    for (const path of ['/nothing', '/docs/nothing', '/404', '/404/de', '/drawn/de']) {
      const { status, headers, body } = await raw(path, { accept });
      expect(status, path).to.equal(404);
      expect(headers['content-type']).to.match(/^text\/html/);
      expect(body.toString())
        .to.contain('href="/docs"')
        .and.to.match(/<link rel="stylesheet"/);
      for (const other of [{}, { accept: '*/*' }, { accept: 'application/json' }]) {
        const problem = await raw(path, other);
        expect([problem.status, JSON.parse(problem.body.toString()).code]).to.deep.equal([404, 'not_found']);
      }
    }
    const german = await raw('/nothing', { accept, 'accept-language': 'de-AT,de;q=0.9,en;q=0.5' });
    expect(german.headers.vary).to.contain('Accept-Language');
    expect(german.body.toString()).to.contain('<html lang="de" dir="ltr">').and.contain('Hier ist nichts');
    const arabic = await raw('/nothing', { accept, 'accept-language': 'ar' });
    expect(arabic.body.toString()).to.contain('<html lang="ar" dir="rtl">');
    expect((await raw('/nothing', { accept, 'accept-language': 'tlh' })).body.toString())
      .to.contain('<html lang="en" dir="ltr">')
      .and.contain('Nothing is here');
    expect((await raw('/nothing', { accept }, 'POST')).headers['content-type']).to.match(/json/);
  });

  it('include no other file: another path is 404, however it is written', async () => {
    for (const path of ['/index.html', '/assets/', '/assets/../package.json', '/%2e%2e/package.json'])
      expect((await raw(path)).status, path).to.equal(404);
  });
});
