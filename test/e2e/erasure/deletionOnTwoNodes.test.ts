import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { Message } from '../../../packages/client/src/types.js';
import { openVault } from '../../../src/vault/openVault.js';
import { RoomKeys, roomKeysId } from '../../../src/vault/textKeys.js';
import { hasEngine } from '../../support/engines.js';
import { runs } from '../../support/lanes.js';
import { parley } from '../../support/parley.js';
import { RawSocket } from '../../support/rawSocket.js';
import type { ServerProcess } from '../../support/server.js';
import { TwoNodes } from '../../support/twoNodes.js';
import { hear, Newcomer, say } from '../newcomer.js';
import { documentsOf } from './traces.js';

const ROUNDS = runs(4);
const TEXTS = 8;
const DELETED = [2, 5, 6];

describe('messages of one writer whose rooms two nodes own', function () {
  this.timeout(300_000);
  let nodes: TwoNodes;
  let ada: Newcomer;
  let ben: Newcomer;
  const devices: RawSocket[] = [];

  before(async function () {
    if (!(await hasEngine('nodes'))) this.skip();
    nodes = await TwoNodes.fresh();
    await nodes.start();
    [ada, ben] = [await Newcomer.at(nodes.first), await Newcomer.at(nodes.second)];
  });
  afterEach(() => Promise.all(devices.splice(0).map((device) => device.close())));
  after(() => nodes?.stop());

  const at = async (node: ServerProcess, { token }: Newcomer, cursor?: string): Promise<RawSocket> => {
    const device = await RawSocket.open(node.wsUrl, token, cursor);
    devices.push(device);
    return device;
  };
  const newGroup = async (device: RawSocket, owner: ServerProcess): Promise<string> => {
    const roomId = await nodes.groupIdOn(owner);
    await device.request('create group', { roomId, name: 'two nodes', memberIds: [ben.userId] });
    return roomId;
  };

  /** By `seq`, whether the vault has a key for the text, read by a third party. */
  async function keyedIn(roomId: string): Promise<number[]> {
    const masterKey = Buffer.from(nodes.env.MASTER_KEY ?? '', 'base64');
    const vault = await openVault({ engine: { kind: 'mongodb', url: nodes.url }, masterKey });
    try {
      const room = { owner: ada.userId, roomId };
      const keys = (await vault.keys.getRoomKeys([room])).get(roomKeysId(room));
      if (!(keys instanceof RoomKeys)) throw new Error('she is not erased');
      const seqs = Array.from({ length: TEXTS }, (_, i) => i + 1);
      return seqs.filter((seq) => keys.keyOf(keys.generation, seq, 0) !== undefined);
    } finally {
      await vault.close();
    }
  }

  it('lose exactly the keys of what is deleted, though both nodes delete at the same moment', async () => {
    const [phone, laptop] = [await at(nodes.first, ada), await at(nodes.second, ada)];
    const { textSecretsOf, tracesOf } = documentsOf(nodes.url);
    for (let round = 0; round < ROUNDS; round++) {
      // Both rooms are new: each of the two deletions cuts a branch out of the writer's one row.
      const rooms = [await newGroup(phone, nodes.first), await newGroup(phone, nodes.second)];
      const ids = new Map<string, string[]>();
      for (const roomId of rooms) {
        const said: Message[] = [];
        for (let seq = 1; seq <= TEXTS; seq++) said.push(await say(phone, roomId, `text ${seq}`));
        ids.set(
          roomId,
          said.map(({ messageId }) => messageId),
        );
      }
      const before = await textSecretsOf(ada.userId);
      const deletions = await Promise.all(
        rooms.map((roomId, i) =>
          Promise.all(
            DELETED.map((seq) => {
              const messageId = ids.get(roomId)?.[seq - 1] ?? '';
              return (i === 0 ? phone : laptop).request('delete message', { roomId, messageId });
            }),
          ),
        ),
      );
      const kept = Array.from({ length: TEXTS }, (_, i) => i + 1).filter((seq) => !DELETED.includes(seq));
      const isCurrent = new Set(await textSecretsOf(ada.userId));
      const replaced = before.filter((row) => !isCurrent.has(row));
      expect(await tracesOf(replaced), 'rows that were replaced').to.deep.equal([]);
      for (const [i, roomId] of rooms.entries()) {
        expect(await keyedIn(roomId), `round ${round}, room ${i}`).to.deep.equal(kept);
        // Asked at the other node, which may not have been told of them yet.
        const revision = deletions[i]?.at(-1)?.revision ?? '';
        const { messages } = await (i === 0 ? laptop : phone).request('fetch messages', { roomId, revision });
        const texts = messages.map(({ seq, message }) => [seq, message]);
        expect(texts).to.deep.equal(
          Array.from({ length: TEXTS }, (_, at) => [
            at + 1,
            DELETED.includes(at + 1) ? null : `text ${at + 1}`,
          ]),
        );
      }
    }
    const { out } = await parley(['audit', 'replay', '--type', 'MessageSent'], nodes.first.settings);
    const events = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events).to.have.length(2 * ROUNDS * TEXTS);
    for (const { data } of events)
      expect(data.text, 'all others open').to.equal(DELETED.includes(data.seq) ? null : `text ${data.seq}`);
    const verified = await parley(['audit', 'verify'], nodes.first.settings);
    expect(verified.out, verified.err).to.include('verified: nothing is wrong');
  });

  it('are answered again after a take-over: as they were sent, and once deleted as what is left', async () => {
    const phone = await at(nodes.first, ada);
    let tablet = await at(nodes.second, ben);
    const { cursor } = tablet;
    const rooms = [await newGroup(phone, nodes.first), await newGroup(phone, nodes.second)];
    const sent = rooms.map((roomId) => ({ roomId, messageId: randomUUID(), message: `once in ${roomId}` }));
    const firsts: Message[] = [];
    for (const body of sent) firsts.push((await phone.request('send message', body)).message);
    for (const { message } of sent) await hear(tablet, message);

    await nodes.first.kill();
    const laptop = await at(nodes.second, ada);
    for (const [i, body] of sent.entries()) {
      expect((await laptop.persist('send message', body)).message).to.deep.equal(firsts[i]);
      const other = { ...body, message: 'another body' };
      expect(await laptop.refusal('send message', other)).to.include({ code: 'conflict' });
      await laptop.request('delete message', { roomId: body.roomId, messageId: body.messageId });
    }
    await nodes.first.start();
    await nodes.untilItOwns(nodes.first);
    await nodes.second.kill();
    const again = await at(nodes.first, ada);
    for (const [i, body] of sent.entries()) {
      const { message: _, ...rest } = firsts[i] ?? {};
      const left = { ...rest, message: null, deleted: { by: ada.userId } };
      const answer = await again.persist('send message', body);
      expect(answer.message, 'a repeat after the deletion').to.deep.equal(left);
      // The first text, with which a body is compared, is gone.
      const changed = await again.request('send message', { ...body, message: 'another body' });
      expect(changed.message).to.deep.equal(left);
      const { messages } = await again.request('fetch messages', { roomId: body.roomId });
      expect(messages, 'it is there once').to.deep.equal([left]);
    }
    tablet = await at(nodes.first, ben, cursor);
    await tablet.push('identity', ({ caughtUp }) => caughtUp);
    const told = tablet.pushed('send message').map(({ message }) => [message.messageId, message.message]);
    expect(told).to.have.deep.members(sent.map(({ messageId }) => [messageId, null]));
    await nodes.second.start();
  });
});
