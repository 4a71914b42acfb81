import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import type { Message } from '../../../packages/client/src/types.js';
import { openVault } from '../../../src/vault/openVault.js';
import { addBranches, roomPath, seqPath, type Tree } from '../../../src/vault/textKeys.js';
import { ERASED_WITHIN_MS } from '../../../src/vault/vault.js';
import { hasEngine } from '../../support/engines.js';
import { Heap } from '../../support/heap.js';
import { ask } from '../../support/http.js';
import { isSoak } from '../../support/lanes.js';
import { parley } from '../../support/parley.js';
import { RawSocket } from '../../support/rawSocket.js';
import { ServerProcess } from '../../support/server.js';
import { tempDir } from '../../support/tempDir.js';
import { TwoNodes } from '../../support/twoNodes.js';
import { hear, Newcomer } from '../newcomer.js';

/** Reading must not prolong what a node holds. */
const READ_EVERY_MS = 5_000;

type Values = Readonly<Record<string, string | Buffer>>;

/** Processes whose heaps can be searched. */
interface Probed {
  /** The last of them owns no part of the room's log, if there are several. */
  readonly servers: readonly (readonly [ServerProcess, Heap])[];
  groupId(): Promise<string>;
  /** Every node of the writer's tree of keys on the way to the text, each of which opens it. */
  keysOf(owner: string, roomId: string, seq: number): Promise<Values>;
  stop(): Promise<unknown>;
}

async function embedded(): Promise<Probed> {
  const heap = new Heap();
  const masterKey = Buffer.alloc(32, 3);
  const dataDir = tempDir();
  const env = { RATE_LIMIT: 'off', MASTER_KEY: masterKey.toString('base64') };
  // Not for the command line, which is run with the server's settings.
  const server = await new ServerProcess({ engine: 'sqlite', dataDir, env }).start(heap.env);
  return {
    servers: [[server, heap]],
    groupId: async () => randomUUID(),
    keysOf: (owner, roomId, seq) => pathTo({ kind: 'sqlite', dataDir }, masterKey, { owner, roomId, seq }),
    stop: () => server.stop(),
  };
}

async function onNodes(): Promise<Probed> {
  const nodes = await TwoNodes.fresh();
  const heaps = nodes.both.map(() => new Heap());
  await nodes.start(heaps.map(({ env }) => env));
  const masterKey = Buffer.from(nodes.env.MASTER_KEY ?? '', 'base64');
  return {
    servers: nodes.both.map((node, i) => [node, heaps[i] as Heap]), // There is one for each.
    groupId: () => nodes.groupIdOn(nodes.first),
    keysOf: (owner, roomId, seq) =>
      pathTo({ kind: 'mongodb', url: nodes.url }, masterKey, { owner, roomId, seq }),
    stop: () => nodes.stop(),
  };
}

async function pathTo(
  engine: Parameters<typeof openVault>[0]['engine'],
  masterKey: Buffer,
  { owner, roomId, seq }: { readonly owner: string; readonly roomId: string; readonly seq: number },
): Promise<Values> {
  const vault = await openVault({ engine, masterKey });
  try {
    const person = (await vault.inspector.people([owner])).get(owner);
    if (person === undefined || person === 'destroyed') throw new Error('the writer is not erased');
    const room = { owner, roomId };
    const [row] = (await vault.inspector.rooms([room])).values();
    const path = [...roomPath(person.salt, roomId), ...seqPath(seq)];
    const nodes: Record<string, Buffer> = {};
    const own = row && vault.inspector.treesIn(person, row);
    for (const trees of [person.trees, ...(own ? [own] : [])])
      for (let depth = 0; depth <= path.length; depth++) {
        const isRoom = trees === own;
        const steps = Uint8Array.from(isRoom ? path.slice(64, 64 + depth) : path.slice(0, depth));
        const node: Tree | undefined = addBranches(new Map(), trees, steps)?.get(0);
        if (typeof node === 'string')
          nodes[`${isRoom ? 'room' : 'person'} ${depth}`] = Buffer.from(node, 'latin1');
      }
    return nodes;
  } finally {
    await vault.close();
  }
}

// Two nodes have all that one has; it takes a minute and a half.
for (const kind of isSoak ? (['sqlite', 'nodes'] as const) : (['nodes'] as const))
  describe(`the heap of a node after a deletion (${kind})`, function () {
    this.timeout(600_000);
    let system: Probed;
    before(async function () {
      if (!(await hasEngine(kind))) this.skip();
      system = kind === 'sqlite' ? await embedded() : await onNodes();
    });
    after(() => system?.stop());

    it('holds neither the texts nor the data nor a key that opens them, once 60 s have passed', async () => {
      const [first] = system.servers[0] ?? [];
      if (!first) throw new Error('a server runs');
      const [ada, ben, mod] = [await Newcomer.at(first), await Newcomer.at(first), await Newcomer.at(first)];
      for (const role of ['moderator', 'auditor'])
        expect(await parley(['role', role, mod.user.username ?? ''], first.settings)).to.include({ code: 0 });
      const phone = await RawSocket.open(first.wsUrl, ada.token);
      const roomId = await system.groupId();
      await phone.request('create group', { roomId, name: 'a group', memberIds: [ben.userId] });
      const tag = randomUUID().replaceAll('-', '');
      const texts: Record<string, string> = {
        'the first text': `first-${tag}`,
        'the second text': `second-${tag}`,
        'the third text': `third-${tag}`,
        'the data': `data-${tag}`,
        'the reported text': `reported-${tag}`,
        'the reported text, edited': `edited-${tag}`,
      };
      const kept = { 'another text': `kept-${tag}` };
      const text = (name: string): string => texts[name] ?? '';
      const send = async (message: string, more: object = {}): Promise<Message> => {
        const body = { roomId, messageId: randomUUID(), message, ...more };
        return (await phone.request('send message', body)).message;
      };
      const edit = ({ messageId }: Message, message: string) =>
        phone.request('edit message', { roomId, messageId, editId: randomUUID(), message });
      const doomed = await send(text('the first text'), { data: { of: text('the data') } });
      const reported = await send(text('the reported text'));
      await edit(doomed, text('the second text'));
      await edit(doomed, text('the third text'));
      await edit(reported, text('the reported text, edited'));
      await send(kept['another text']);

      // Every way in which a node comes to hold a text: pushes, histories, replays, edits, auditors and moderators.
      const reportId = randomUUID();
      const readers: RawSocket[] = [];
      for (const [i, [server]] of system.servers.entries()) {
        const tablet = await RawSocket.open(server.wsUrl, ben.token);
        readers.push(tablet);
        await tablet.request('fetch messages', { roomId });
        for (const { messageId } of [doomed, reported])
          await tablet.request('get edits', { roomId, messageId });
        if (i === 0) {
          const report = { reportId, roomId, messageIds: [reported.messageId] };
          await tablet.request('report', { ...report, category: 'spam' });
        }
        for (const what of [`GET /audit/rooms/${roomId}`, `GET /admin/reports/${reportId}`])
          expect((await ask(server.url, what, { token: mod.token })).status, what).to.equal(200);
        expect(
          (await ask(server.url, `GET /user/${ben.userId}/export`, { token: ben.token })).status,
        ).to.equal(200);
      }
      const late = { roomId, messageId: randomUUID(), message: 'the last one' };
      await phone.request('send message', late);
      for (const tablet of readers) await hear(tablet, late.message);
      const keys = {
        ...(await system.keysOf(ada.userId, roomId, doomed.seq)),
        ...prefixed('reported', await system.keysOf(ada.userId, roomId, reported.seq)),
      };
      expect(Object.keys(keys).length, 'the tree is deep').to.be.above(60);
      for (const [server, heap] of system.servers) {
        await readAgain(server, ben, roomId);
        const found = await heap.find({ ...texts, ...kept, ...keys });
        expect(found, 'a control: what a node works with is found').to.include.members([
          'the third text',
          'another text',
        ]);
        expect(
          found.filter((name) => name in keys),
          'and a key',
        ).to.not.deep.equal([]);
      }

      await phone.request('delete message', { roomId, messageId: reported.messageId });
      const decision = { token: mod.token, json: { note: 'seen' } };
      for (const [server] of system.servers)
        expect(
          (await ask(server.url, `GET /admin/reports/${reportId}`, { token: mod.token })).status,
        ).to.equal(200);
      const decided = await ask(first.url, `POST /admin/reports/${reportId}/decision`, decision);
      expect(decided.status, decided.text).to.equal(204);
      await phone.request('delete message', { roomId, messageId: doomed.messageId });
      const deletedAt = performance.now();
      // What was asked for before this time may still be there. A look at all heaps takes some ten seconds of CPU time.
      for (let leftMs = ERASED_WITHIN_MS; leftMs > 0; ) {
        await pause(Math.min(leftMs, READ_EVERY_MS));
        for (const [server] of system.servers) await readAgain(server, ben, roomId);
        leftMs = deletedAt + ERASED_WITHIN_MS - performance.now();
      }
      for (const [i, [server, heap]] of system.servers.entries()) {
        // Its collection of garbage lets go of what only weak references hold.
        await heap.find({});
        await readAgain(server, ben, roomId);
        const found = await heap.find({ ...texts, ...keys });
        expect(found, `what node ${i} still holds`).to.deep.equal([]);
      }
      const { messages } = await phone.request('fetch messages', { roomId });
      expect(messages.map(({ message }) => message)).to.deep.equal([
        null,
        null,
        kept['another text'],
        late.message,
      ]);
      await Promise.all([phone, ...readers].map((device) => device.close()));
    });
  });

const prefixed = (prefix: string, values: Values): Values =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix} ${name}`, value]));

/** Asks for the room's history, as somebody who has just come. */
async function readAgain({ wsUrl }: ServerProcess, { token }: Newcomer, roomId: string): Promise<void> {
  const device = await RawSocket.open(wsUrl, token);
  await device.request('fetch messages', { roomId });
  await device.close();
}
