import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import type { Message } from '../../../packages/client/src/types.js';
import { hasEngine, kindsWith } from '../../support/engines.js';
import { eventually } from '../../support/eventually.js';
import { ask, type Reply } from '../../support/http.js';
import { isSoak } from '../../support/lanes.js';
import { parley } from '../../support/parley.js';
import { upTo, withSeed } from '../../support/random.js';
import type { RawSocket } from '../../support/rawSocket.js';
import { chatOf, Newcomer, say } from '../newcomer.js';
import { type Searchable, startSearchable } from './traces.js';

const ROUNDS = isSoak ? 12 : 1;
/** A decision takes about as long. */
const MOST_DELAY_MS = 40;

for (const kind of kindsWith('nodes'))
  describe(`a reported message over kills (${kind})`, function () {
    this.timeout(600_000);
    let system: Searchable;
    let ada: Newcomer;
    let ben: Newcomer;
    let mod: Newcomer;
    let roomId: string;

    before(async function () {
      if (!(await hasEngine(kind))) this.skip();
      system = await startSearchable(kind, { RATE_LIMIT: 'off' });
      const { server } = system;
      [ada, ben, mod] = [await Newcomer.at(server), await Newcomer.at(server), await Newcomer.at(server)];
      const name = mod.user.username ?? '';
      expect(await parley(['role', 'moderator', name], server.settings)).to.include({ code: 0 });
      const phone = await ada.device();
      roomId = await chatOf(phone, ben);
      await phone.close();
    });
    after(() => system?.server.stop());

    const killAndStart = async (): Promise<void> => {
      await system.server.kill();
      await system.server.start();
    };
    /** Repeats what a node refuses that has just started. */
    const persist = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
      let found: { readonly value: T } | undefined;
      await eventually(what, async () => {
        found = await work().then(
          (value) => ({ value }),
          () => undefined,
        );
        return found !== undefined;
      });
      if (!found) throw new Error('it was found');
      return found.value;
    };
    const as = <T>(who: Newcomer, work: (device: RawSocket) => Promise<T>): Promise<T> =>
      persist('it is granted', async () => {
        const device = await who.device();
        return work(device).finally(() => device.close());
      });
    const asked = (what: string, json?: object): Promise<Reply> =>
      persist(what, async () => {
        const reply = await ask(system.server.url, what, { token: mod.token, ...(json ? { json } : {}) });
        if (reply.status >= 500) throw new Error(reply.text);
        return reply;
      });
    const lines = async (...filter: string[]) => {
      const { out } = await parley(['audit', 'replay', ...filter], system.server.settings);
      return out
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line));
    };

    /** What members, auditors and moderators see of the text. */
    const seen = async ({ messageId }: Message, reportId: string, revision: string) => {
      const { messages } = await as(ben, (tablet) =>
        tablet.request('fetch messages', { roomId, limit: 200, revision }),
      );
      const events = await lines('--stream', `room:${roomId}`);
      const texts = events.flatMap(({ data }) =>
        data.messageId === messageId && 'text' in data ? [data.text] : [],
      );
      const { body } = await asked(`GET /admin/reports/${reportId}`);
      const find = (all: readonly Message[]) => all.find((message) => message.messageId === messageId);
      return {
        members: find(messages)?.message,
        auditors: texts,
        moderators: find(body.messages)?.message,
      };
    };

    it('is evidence for moderators alone until the decision, which a start finishes', () =>
      withSeed(async (random) => {
        for (let round = 0; round < ROUNDS; round++) {
          const evidence = await as(ada, (phone) => say(phone, roomId, `first text ${round}`));
          const { messageId } = evidence;
          const edit = { roomId, messageId, editId: randomUUID(), message: `newest text ${round}` };
          await as(ada, (phone) => phone.request('edit message', edit));
          const reportId = randomUUID();
          const report = { reportId, roomId, messageIds: [messageId] };
          await as(ben, (tablet) => tablet.request('report', { ...report, category: 'spam' }));
          await killAndStart();
          // Others, on the other node, may be told of it later than its answer comes.
          const { revision } = await as(ada, (phone) =>
            phone.request('delete message', { roomId, messageId }),
          );
          const held = { members: null, auditors: [null, null], moderators: `newest text ${round}` };
          expect(await seen(evidence, reportId, revision), 'before a kill').to.deep.equal(held);
          await killAndStart();
          expect(await seen(evidence, reportId, revision), 'behind a kill').to.deep.equal(held);

          // The row of this room, or in the first round still that of all rooms.
          const rows = await system.textSecretsOf(ada.userId);
          const secrets = rows.length > 1 ? rows.slice(1) : rows;
          expect(await system.tracesOf(secrets), 'a control').to.deep.equal(secrets);
          const what = `POST /admin/reports/${reportId}/decision`;
          const json = { note: `decided in round ${round}` };
          const deciding = ask(system.server.url, what, { token: mod.token, json }).catch(() => undefined);
          await pause(upTo(MOST_DELAY_MS, random));
          await system.server.kill();
          await deciding;
          await system.server.start();
          const decided = await lines('--stream', `user:${ben.userId}`, '--type', 'ReportDecided');
          const isRecorded = decided.some(({ data }) => data.reportId === reportId);
          // What is in the log is finished without anybody asking again.
          if (!isRecorded) expect((await asked(what, json)).status).to.equal(204);
          await eventually(
            'its keys are destroyed',
            async () => (await system.tracesOf(secrets)).length === 0,
          );
          const gone = { members: null, auditors: [null, null], moderators: null };
          expect(await seen(evidence, reportId, revision)).to.deep.equal(gone);
          expect((await asked(what, json)).status, 'the same again').to.equal(204);
        }
        const verified = await parley(['audit', 'verify'], system.server.settings);
        expect(verified.out, verified.err).to.include('verified: nothing is wrong');
      }));
  });
