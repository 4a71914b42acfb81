import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { eventually } from '../support/eventually.js';
import { ask } from '../support/http.js';
import { mongoUrl } from '../support/mongo.js';
import { natsUrl } from '../support/nats.js';
import { Nodes } from '../support/nodes.js';
import { parley } from '../support/parley.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { say, talk } from './newcomer.js';

/** A span as OTLP has it in JSON, as far as the tests look at it. */
interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
  /** `service.instance.id` of its resource. */
  readonly node: string;
}

/** A collector of traces: takes OTLP over HTTP with JSON, and keeps what it is sent. */
class Collector {
  readonly spans: Span[] = [];
  /** All that has come, as text. */
  said = '';
  private constructor(private readonly server: Server) {}

  static async start(): Promise<Collector> {
    const server = createServer(async (request, response) => {
      const body = await text(request);
      if (request.url !== '/v1/traces') return response.writeHead(404).end();
      collector.take(body);
      return response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
    const collector = new Collector(server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return collector;
  }

  take(body: string): void {
    this.said += body;
    for (const { resource, scopeSpans } of JSON.parse(body).resourceSpans) {
      const attributes: Span['attributes'] = resource.attributes;
      const { value } = attributes.find(({ key }) => key === 'service.instance.id') ?? {};
      for (const { spans } of scopeSpans)
        for (const span of spans) this.spans.push({ ...span, node: String(value?.stringValue) });
    }
  }

  /** With these a server sends its spans here, without a delay. */
  get env(): Record<string, string> {
    const { port } = this.server.address() as AddressInfo; // It listens on TCP.
    return { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_BSP_SCHEDULE_DELAY: '50' };
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

const attribute = ({ attributes }: Span, key: string): unknown => {
  const { value = {} } = attributes.find((each) => each.key === key) ?? {};
  return Object.values(value)[0];
};

describe('OTEL_EXPORTER_OTLP_ENDPOINT', function () {
  this.timeout(120_000);
  let collector: Collector;
  let server: ServerProcess | undefined;
  let nodes: Nodes | undefined;
  beforeEach(async () => {
    collector = await Collector.start();
  });
  afterEach(async () => {
    await server?.stop();
    await nodes?.stop();
    server = undefined;
    nodes = undefined;
    collector.stop();
  });

  /** The spans of the first trace that has all of these. */
  async function traceWith(...names: string[]): Promise<readonly Span[]> {
    let found: readonly Span[] = [];
    await eventually(`a trace of ${names.join(', ')}`, () => {
      for (const id of new Set(collector.spans.map(({ traceId }) => traceId))) {
        const spans = collector.spans.filter(({ traceId }) => traceId === id);
        if (names.every((name) => spans.some((span) => span.name === name))) found = spans;
      }
      return found.length > 0;
    });
    return found;
  }

  it('gets a trace of each message: its request, command, append and push', async () => {
    server = await startServer({ engine: 'sqlite', env: collector.env });
    const { phone, roomId } = await talk(server);
    await say(phone, roomId, 'a traced message');
    const spans = await traceWith('send message', 'command send message', 'append', 'push');
    const of = (name: string): Span => spans.find((span) => span.name === name) as Span; // `traceWith` has looked.
    const [request, command] = [of('send message'), of('command send message')];
    expect(request.parentSpanId ?? '').to.equal('');
    expect(attribute(request, 'parley.outcome')).to.equal('ok');
    expect(command.parentSpanId).to.equal(request.spanId);
    for (const name of ['append', 'push']) expect(of(name).parentSpanId, name).to.equal(command.spanId);
    const [began, ended] = [request.startTimeUnixNano, request.endTimeUnixNano].map(BigInt);
    expect(Number((ended ?? 0n) - (began ?? 0n))).to.be.above(0);
    // An auditor finds the trace of an event by its command.
    const { out } = await parley(['audit', 'replay'], server.settings);
    const commandIds = [...out.matchAll(/"commandId":"([^"]+)"/g)].map(([, id = '']) =>
      id.replaceAll('-', ''),
    );
    expect(commandIds).to.include(request.traceId);
  });

  it('gets the REST requests, in the trace of a caller who traces too', async () => {
    server = await startServer({ engine: 'sqlite', env: collector.env });
    const { ada } = await talk(server);
    const [traceId, parent] = [`${'a'.repeat(31)}1`, 'b'.repeat(16)];
    const headers = { traceparent: `00-${traceId}-${parent}-01` };
    await ask(server.url, 'GET /user/search?q=ben', { token: ada.token, headers });
    const [span] = await traceWith('GET /user/search');
    expect(span).to.include({ traceId, parentSpanId: parent });
    expect(attribute(span as Span, 'http.response.status_code')).to.equal(200); // `traceWith` has looked.
  });

  it('gets no text, name, password or token', async () => {
    server = await startServer({ engine: 'sqlite', env: collector.env });
    const { ada, ben, phone, roomId } = await talk(server);
    await say(phone, roomId, 'nobody’s business');
    await ask(server.url, 'GET /user/search?q=secretword', { token: ada.token });
    await traceWith('GET /user/search');
    await traceWith('send message', 'push');
    const secrets = ['nobody’s', 'secretword', ada.user.username, ada.password, ada.token, ben.token];
    for (const secret of secrets) expect(collector.said).to.not.include(secret);
  });

  it('may be away: the server works, says so in few lines, and stops in time', async () => {
    const env = { ...collector.env, OTEL_BSP_EXPORT_TIMEOUT: '200' };
    collector.stop();
    server = await startServer({ engine: 'sqlite', env });
    const { phone, roomId } = await talk(server);
    await say(phone, roomId, 'still here');
    expect(await server.stop()).to.deep.equal({ code: 0, signal: null });
    expect(server.log.split('OpenTelemetry reports').length).to.be.below(25);
  });

  it('gets one trace of a command that another node carries out, from both nodes', async function () {
    if ((await mongoUrl()) === undefined || (await natsUrl()) === undefined) this.skip();
    nodes = await Nodes.fresh(collector.env);
    await nodes.start();
    // Each conversation has another room: sooner or later the other node owns it.
    let spans: readonly Span[] = [];
    while (spans.length === 0) {
      const { phone, roomId } = await talk(nodes);
      await say(phone, roomId, 'across');
      await traceWith('send message', 'push');
      const forwarded = collector.spans.find(({ name }) => name === 'forwarded send message');
      if (forwarded) spans = await traceWith('send message', 'forwarded send message', 'append', 'push');
    }
    const nodeOf = (name: string) => spans.find((span) => span.name === name)?.node;
    expect(nodeOf('append')).to.equal(nodeOf('forwarded send message'));
    expect(nodeOf('append')).to.not.equal(nodeOf('send message'));
    expect(nodeOf('command send message')).to.equal(nodeOf('send message'));
  });
});
