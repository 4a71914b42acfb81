import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { overloaded } from '../../src/base/errors.js';
import { type FinishedSpan, placeOf, Traces } from '../../src/base/tracing.js';

describe('traces', () => {
  let spans: FinishedSpan[];
  const traces = (share = 1) => new Traces((span) => void spans.push(span), share);
  const named = (name: string): FinishedSpan => {
    const found = spans.filter((span) => span.name === name);
    expect(found, name).to.have.length(1);
    return found[0] as FinishedSpan; // Its number has been checked.
  };
  const done = async () => 'done';
  beforeEach(() => {
    spans = [];
  });

  it("take a command's id, so that spans of several nodes join", async () => {
    const id = randomUUID();
    const [gateway, owner] = [traces(), traces()];
    const request = gateway.beginRequest();
    const answer = await request.run(() =>
      gateway.runCommand('send message', id, () => owner.runForwarded('send message', id, done)),
    );
    request.end('send message', { 'parley.outcome': 'ok' }, undefined);
    owner.recordAppend(3, { 'parley.events': 1 }, [id]);
    gateway.recordPushes(5, {}, [id]);
    expect(answer).to.equal('done');
    const traceId = id.replaceAll('-', '');
    expect(new Set(spans.map((span) => span.traceId))).to.deep.equal(new Set([traceId]));
    const command = named('command send message');
    expect(command.spanId).to.equal(traceId.slice(16));
    expect(command.parent?.spanId).to.equal(named('send message').spanId);
    for (const name of ['forwarded send message', 'append', 'push'])
      expect(named(name).parent, name).to.deep.equal({ traceId, spanId: command.spanId });
    expect(new Set(spans.map(({ spanId }) => spanId))).to.have.property('size', spans.length);
    expect(named('append').endedAt - named('append').startedAt).to.equal(3);
  });

  it('give a request without a command a trace of its own', () => {
    const first = traces().beginRequest();
    const second = traces().beginRequest();
    first.end('get chat', {}, undefined);
    second.end('get chat', {}, undefined);
    const [one, two] = spans;
    expect(one?.traceId).to.match(/^[0-9a-f]{32}$/);
    expect(one?.traceId).to.not.equal(two?.traceId);
  });

  it('link the commands of a request that cannot share its trace: of a caller who traces, or a second one', async () => {
    const [traceId, spanId] = ['1'.repeat(32), '2'.repeat(16)];
    const node = traces();
    const request = node.beginRequest(`00-${traceId}-${spanId}-01`);
    const ids = [randomUUID(), randomUUID()];
    await request.run(async () => {
      for (const id of ids) await node.runCommand('erase member', id, done);
    });
    request.end('DELETE /user/:userId', {}, undefined);
    const root = named('DELETE /user/:userId');
    expect(root).to.deep.include({ traceId, parent: { traceId, spanId } });
    for (const id of ids) {
      const span = spans.find((each) => each.traceId === placeOf(id)?.traceId);
      expect(span).to.deep.include({ parent: undefined, link: { traceId, spanId: root.spanId } });
    }
  });

  it('ignore a caller that is not recorded, or whose header is none', () => {
    for (const header of [
      `00-${'1'.repeat(32)}-${'2'.repeat(16)}-00`,
      `00-${'0'.repeat(32)}-${'2'.repeat(16)}-01`,
      `00-${'1'.repeat(32)}-${'0'.repeat(16)}-01`,
      `01-${'1'.repeat(32)}-${'2'.repeat(16)}-01`,
      'nonsense',
    ])
      traces().beginRequest(header).end('GET /user/', {}, undefined);
    expect(spans).to.have.length(5);
    for (const span of spans) {
      expect(span.parent).to.equal(undefined);
      expect(span.traceId).to.not.match(/^[01]+$/);
    }
  });

  it('keep requests apart that run at the same time', async () => {
    const node = traces();
    const ids = Array.from({ length: 20 }, () => randomUUID());
    await Promise.all(
      ids.map(async (id, at) => {
        const request = node.beginRequest();
        await request.run(async () => {
          await new Promise((resolve) => setImmediate(resolve));
          return node.runCommand('react', id, done);
        });
        request.end(`request ${at}`, {}, undefined);
      }),
    );
    for (const [at, id] of ids.entries())
      expect(named(`request ${at}`).traceId).to.equal(placeOf(id)?.traceId);
  });

  it('name the error of what failed by its code, without its message', async () => {
    const node = traces();
    const work = () => Promise.reject(overloaded('a text of a person'));
    const failure = await node
      .runCommand('edit message', randomUUID(), work)
      .catch((error: unknown) => error);
    expect(failure).to.have.property('code', 'overloaded');
    expect(named('command edit message').error).to.equal('overloaded');
    expect(JSON.stringify(spans)).to.not.include('a text');
  });

  it('record the same share of the traces on every node, the whole trace or nothing', async () => {
    const ids = Array.from({ length: 2000 }, () => randomUUID());
    for (let node = 0; node < 2; node++) {
      const some = traces(0.25);
      for (const id of ids) {
        await some.runCommand('send message', id, done);
        some.recordPushes(1, {}, [id]);
      }
    }
    const recorded = new Map<string, number>();
    for (const { traceId } of spans) recorded.set(traceId, (recorded.get(traceId) ?? 0) + 1);
    expect(new Set(recorded.values())).to.deep.equal(new Set([4]));
    expect(recorded.size).to.be.within(350, 650);
    spans = [];
    await traces(0).runCommand('send message', ids[0] ?? '', done);
    traces(0).beginRequest().end('get chat', {}, undefined);
    expect(spans).to.deep.equal([]);
  });

  it('leave out what has no UUID, and still do the work', async () => {
    expect(await traces().runCommand('send message', 'no uuid', done)).to.equal('done');
    expect(spans).to.deep.equal([]);
  });
});
