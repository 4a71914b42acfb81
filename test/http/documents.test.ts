import { readFileSync } from 'node:fs';
import { validate } from '@readme/openapi-parser';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import { pushes, requests } from '../../src/domain/contract.js';
import { ask, type FakeTarget, startHttp } from '../support/http.js';
import { at } from '../support/json.js';

const specification = new URL(import.meta.resolve('@asyncapi/specs/schemas/3.0.0-without-$id.json'));
const asyncApiSchema = JSON.parse(readFileSync(specification, 'utf8'));

describe('the documents', () => {
  let target: FakeTarget;
  before(async () => {
    target = await startHttp();
  });
  after(() => target.close());

  /** Every `$ref` of a document leads somewhere in it. */
  function refsOf(json: unknown, found: string[] = []): string[] {
    if (typeof json !== 'object' || json === null) return found;
    for (const [key, value] of Object.entries(json))
      if (key === '$ref') found.push(String(value));
      else refsOf(value, found);
    return found;
  }
  const follow = (document: unknown, ref: string): unknown =>
    at(document, ...ref.replace('#/', '').split('/'));

  /** The title of each schema in this one, and its own. */
  function titlesOf(schema: object): unknown[] {
    if ('$ref' in schema) return [];
    const parts = Object.entries(schema).flatMap(([keyword, value]): unknown[] => {
      if (typeof value !== 'object' || value === null) return [];
      const lists = ['properties', 'anyOf', 'oneOf', 'allOf'];
      if (lists.includes(keyword) || Array.isArray(value)) return Object.values(value).flatMap(titlesIn);
      return ['items', 'additionalProperties', 'propertyNames'].includes(keyword) ? titlesOf(value) : [];
    });
    return ['title' in schema ? schema.title : undefined, ...parts];
  }
  // Beside schemas, lists have names of fields, values of an enumeration and examples.
  const titlesIn = (part: unknown): unknown[] =>
    typeof part === 'object' && part !== null ? titlesOf(part) : [];

  it('/openapi.json is OpenAPI 3.1 with the shapes of the contract', async () => {
    const { status, body, headers } = await ask(target.url, 'GET /openapi.json');
    expect(status).to.equal(200);
    expect(headers.get('content-type')).to.match(/^application\/json/);
    const result = await validate(structuredClone(body));
    expect(result.valid, JSON.stringify(result)).to.equal(true);
    expect(body.openapi).to.match(/^3\.1\./);
    expect(body.components.schemas).to.include.all.keys('User', 'Message', 'Chat', 'Problem');
    for (const ref of refsOf(body)) expect(follow(body, ref), ref).to.be.an('object');
    const [q, limit] = body.paths['/user/search'].get.parameters;
    expect(q).to.deep.include({ name: 'q', required: true });
    expect(limit.schema).to.deep.include({ type: 'integer', minimum: 1, maximum: 50, default: 20 });
    const signUp = body.paths['/user'].post.requestBody.content['application/json'].schema;
    expect(signUp.additionalProperties).to.equal(false);
  });

  it('/openapi.json has both answers of a request that may create something', async () => {
    const { body } = await ask(target.url, 'GET /openapi.json');
    const puts = Object.entries<{ put?: { responses: Record<string, { content?: object }> } }>(
      body.paths,
    ).flatMap(([path, { put }]) => (put?.responses[201] ? [[path, put.responses] as const] : []));
    expect(puts.map(([path]) => path)).to.have.members([
      ...['/server/users/{id}', '/server/rooms/private', '/server/rooms/{roomId}'],
      ...['/server/rooms/{roomId}/messages/{messageId}', '/server/subscriptions/{id}'],
    ]);
    for (const [path, { 200: known, 201: made }] of puts)
      expect(made?.content, path).to.deep.equal(known?.content).and.to.be.an('object');
    expect(body.info.description).to.include('405');
  });

  it('/openapi.json names every route with its methods, and no other', async () => {
    const { body } = await ask(target.url, 'GET /openapi.json');
    for (const [path, methods] of Object.entries<object>(body.paths)) {
      const real = path.replace('{userId}', '00000000-0000-4000-8000-000000000000');
      const { headers } = await ask(target.url, `OPTIONS ${real}`);
      const allowed = (headers.get('allow') ?? '').split(', ').filter((m) => m !== 'OPTIONS' && m !== 'HEAD');
      expect(
        Object.keys(methods).map((m) => m.toUpperCase()),
        path,
      ).to.have.members(allowed);
    }
  });

  it('/asyncapi.json is AsyncAPI 3.0 with every request, answer and push', async () => {
    const { body } = await ask(target.url, 'GET /asyncapi.json');
    const check = new Ajv({ strict: false, validateFormats: false, allErrors: false }).compile(
      asyncApiSchema,
    );
    expect(check(body), JSON.stringify(check.errors?.slice(0, 3))).to.equal(true);
    for (const ref of refsOf(body)) expect(follow(body, ref), ref).to.be.an('object');
    const operations = Object.values<{ action: string; summary: string }>(body.operations);
    const of = (action: string): string[] =>
      operations.filter((each) => each.action === action).map(({ summary }) => summary);
    expect(of('receive')).to.have.members(Object.keys(requests));
    expect(of('send')).to.have.members(Object.keys(pushes));
    expect(body.info.description).to.contain('4401').and.to.contain('rate_limited');
  });

  it('/asyncapi.json gives each schema a name of its own', async () => {
    const { body } = await ask(target.url, 'GET /asyncapi.json');
    const { messages, schemas } = body.components;
    const payloads = Object.values<{ payload: object }>(messages).map(({ payload }) => payload);
    const titles = [...payloads, ...Object.values<object>(schemas)].flatMap(titlesOf);
    expect(titles).to.include.members(['SendMessageRequestData', 'Chat', 'ChatRole', 'ChatWindowsItem2Null']);
    expect(titles.filter((title) => title === undefined)).to.deep.equal([]);
    expect(titles.filter((title, i) => titles.indexOf(title) !== i)).to.deep.equal([]);
  });

  it('answers 431 without a body to headers larger than 16 KiB, as /openapi.json says', async () => {
    const headers = { 'x-large': 'x'.repeat(16 * 1024) };
    const { status, text } = await ask(target.url, 'GET /health', { headers });
    expect([status, text]).to.deep.equal([431, '']);
  });

  it('/asyncapi.json describes frames as they are', async () => {
    const { body } = await ask(target.url, 'GET /asyncapi.json');
    const ajv = new Ajv({ strict: false, validateFormats: false });
    const frame = (name: string) =>
      ajv.compile({ components: body.components, ...body.components.messages[name].payload });
    const id = '00000000-0000-4000-8000-000000000000';
    const data = { roomId: id, messageId: id, message: 'hello' };
    const request = frame('sendMessageRequest');
    expect(request({ id: 7, event: 'send message', data })).to.equal(true);
    expect(request({ id: 7, event: 'send message', data: { ...data, extra: 1 } })).to.equal(false);
    expect(request({ id: 7, event: 'init chat', data })).to.equal(false);
    const message = {
      messageId: id,
      roomId: id,
      seq: 1,
      senderId: id,
      message: null,
      sentAt: 'now',
      erased: true,
    };
    const push = frame('sendMessagePush');
    expect(push({ event: 'send message', data: { message }, cursor: 'x' })).to.equal(true);
    expect(push({ event: 'send message', data: { message } })).to.equal(false);
    expect(frame('error')({ id: 'a', event: 'x', error: { code: 'not_found', message: 'no' } })).to.equal(
      true,
    );
  });

  it('/, /docs and /docs/rest are pages that load from this server alone', async () => {
    for (const path of ['/', '/docs', '/docs/rest']) {
      const { status, text, headers } = await ask(target.url, `GET ${path}`);
      expect(status).to.equal(200);
      expect(headers.get('content-type')).to.match(/^text\/html/);
      const policy = headers.get('content-security-policy') ?? '';
      expect(policy)
        .to.contain("default-src 'none'")
        .and.to.not.match(/unsafe|https?:|\*/);
      const loaded = [...text.matchAll(/<(?:link|script|img)[^>]*(?:href|src)="([^"]+)"/g)].map(
        ([, url]) => url ?? '',
      );
      expect(loaded.length).to.be.at.least(1);
      for (const url of loaded.filter((each) => each !== 'data:,')) {
        expect(url).to.match(/^\/\w/);
        expect((await ask(target.url, `GET ${url}`)).status, url).to.equal(200);
      }
    }
  });

  it('/docs leads to the contract first', async () => {
    const { text } = await ask(target.url, 'GET /docs');
    const [, main = ''] = text.split('<ul>\n');
    expect(main).to.match(/^<li><a href="\/docs\/protocol">/);
    expect((await ask(target.url, 'GET /docs/protocol')).status).to.equal(200);
  });

  it('are sent again only when they have changed', async () => {
    const etag = (await ask(target.url, 'GET /docs/rest/swagger-ui.css')).headers.get('etag') ?? '';
    const again = await ask(target.url, 'GET /docs/rest/swagger-ui.css', {
      headers: { 'if-none-match': etag, 'cache-control': 'max-age=0' },
    });
    expect([again.status, again.text]).to.deep.equal([304, '']);
  });
});
