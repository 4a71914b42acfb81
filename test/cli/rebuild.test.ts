import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { projectionNames } from '../../src/projections/allProjections.js';
import { commandEngines, hasEngine, startFresh } from '../support/engines.js';
import { ask } from '../support/http.js';
import { isSoak } from '../support/lanes.js';
import { parley } from '../support/parley.js';
import { type Device, newDevice, type Person, signUp } from '../support/people.js';
import type { ServerProcess } from '../support/server.js';

/** One talks as fast as they are answered, the other reads all there is, until told to stop. */
class Hammer {
  sent = 0;
  reads = 0;
  #isOver = false;

  constructor(
    private readonly server: ServerProcess,
    private readonly ann: Device,
    private readonly bob: Device,
    private readonly people: { readonly ann: Person; readonly bob: Person },
    private readonly roomId: string,
  ) {}

  /** A history from before. */
  async fill(messages: number): Promise<void> {
    const { roomId } = this;
    while (this.sent < messages) {
      const some = Array.from({ length: 10 }, () => ({
        roomId,
        messageId: randomUUID(),
        message: 'at first',
      }));
      await Promise.all(some.map((one) => this.ann.client.request('send message', one)));
      this.sent += some.length;
    }
  }

  /** Goes on until this is done; rejects with the first thing that anybody saw and should not have. */
  async until(done: Promise<unknown>): Promise<void> {
    this.#isOver = false;
    const strokes = Promise.all([this.#talk(), this.#read(), this.#readOnly(), this.#lookAround()]);
    const isOver = () => {
      this.#isOver = true;
    };
    await Promise.all([done.finally(isOver), strokes.finally(isOver)]);
  }

  /** What was answered is in every later read that names its moment. */
  async #talk(): Promise<void> {
    while (!this.#isOver) {
      const messageId = randomUUID();
      const { message, revision } = await this.ann.client.request('send message', {
        ...{ roomId: this.roomId, messageId, message: 'on and on' },
      });
      this.sent = message.seq;
      const page = await this.bob.client.request('fetch messages', { roomId: this.roomId, revision });
      expect(page.messages.at(-1)?.seq).to.be.least(message.seq);
      const { chats } = await this.bob.client.request('get active chats', { revision });
      expect(chats).to.have.length(1);
      expect(chats[0]?.unread).to.be.least(message.seq);
    }
  }

  /** The history has no hole, and never gets shorter. */
  async #read(): Promise<void> {
    for (let before = 0; !this.#isOver; this.reads++) {
      const history = await this.bob.history(this.roomId);
      expect(history.length).to.be.least(before);
      before = history.length;
      expect(history.map(({ seq }) => seq)).to.deep.equal(history.map((_, i) => i + 1));
    }
  }

  /** Counters never go back. */
  async #readOnly(): Promise<void> {
    for (let before = 0; !this.#isOver; this.reads++) {
      const { chats } = await this.bob.client.request('get active chats', {});
      const [chat] = chats;
      expect(chat?.unread).to.be.least(before);
      expect(chat?.unread).to.equal(chat?.lastMessage?.seq ?? 0);
      before = chat?.unread ?? 0;
      await turn();
    }
  }

  /** The same over REST, where no read is held back by what was pushed; people, friends and proofs are there all the time. */
  async #lookAround(): Promise<void> {
    const { ann, bob } = this.people;
    for (let [before, proven] = [0, 0]; !this.#isOver; this.reads++) {
      const { body } = await ask(this.server.url, `GET /user/${bob.user.userId}`, { token: this.bob.token });
      expect(body.user).to.deep.equal(bob.user);
      expect(body.friends).to.deep.equal([ann.user]);
      expect(body.activeChats[0]?.unread).to.be.least(before);
      before = body.activeChats[0].unread;
      const info = await this.bob.client.request('get online info', { recipientId: ann.user.userId });
      expect(info.isOnline).to.equal(true);
      const found = await ask(this.server.url, 'GET /user/search?q=stran', { token: this.bob.token });
      expect(found.body.users).to.have.length(1);
      const proof = await ask(this.server.url, 'GET /audit/log/0/proof?offset=0', { token: this.bob.token });
      expect(proof.status, proof.text).to.equal(200);
      expect(proof.body.size).to.be.least(proven);
      proven = proof.body.size;
    }
  }
}

for (const engine of commandEngines)
  describe(`A rebuild under load on ${engine}`, function () {
    this.timeout(300_000);
    let server: ServerProcess;
    let hammer: Hammer;
    let devices: Device[] = [];
    before(async function () {
      if (!(await hasEngine(engine))) return this.skip();
      server = await startFresh(engine, { env: { RATE_LIMIT: 'off', PARTITIONS: '1' } });
      const people = { ann: await signUp(server, 'ann'), bob: await signUp(server, 'bob') };
      const ann = await newDevice(server, people.ann);
      const bob = await newDevice(server, people.bob);
      devices = [ann, bob];
      await ann.client.request('add friend', { friendId: people.bob.user.userId });
      await ann.client.request('notify online', {});
      hammer = new Hammer(server, ann, bob, people, await ann.chatWith(people.bob));
      // So much that a table which is read too early is seen to be.
      await hammer.fill(2000);
      await parley(['role', 'auditor', 'bob'], { DATA_DIR: server.dataDir, ...server.env });
      await signUp(server, 'stranger');
    });
    after(async () => {
      for (const device of devices) device.close();
      await server?.stop();
    });

    for (const [at, name] of projectionNames.entries())
      it(`of ${name} shows clients neither a gap nor old data`, async () => {
        const [sent, reads] = [hammer.sent, hammer.reads];
        // The short form has people at every third.
        const isUsed = isSoak || at % 3 === 0;
        const rebuild = parley(['rebuild', name], { DATA_DIR: server.dataDir, ...server.env });
        if (isUsed) await hammer.until(rebuild);
        expect(await rebuild).to.deep.equal({
          ...{ code: 0, err: '' },
          out: `${name} is rebuilt and in use\n`,
        });
        if (!isUsed) return;
        expect(hammer.sent).to.be.above(sent);
        expect(hammer.reads).to.be.above(reads);
      });
  });
