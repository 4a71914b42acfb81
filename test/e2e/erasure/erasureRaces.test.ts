import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { Rest } from '../../../packages/client/src/rest.js';
import { allKinds, hasEngine } from '../../support/engines.js';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { isSoak } from '../../support/lanes.js';
import { seeded } from '../../support/random.js';
import type { RawSocket } from '../../support/rawSocket.js';
import { Newcomer, say, two } from '../newcomer.js';
import { type Searchable, startSearchable } from './traces.js';

const ROUNDS = isSoak ? 3 : 1;
/** From the request to erase until the kill. */
const DELAYS_MS = isSoak ? [1, 5, 12, 20, 30, 50] : [1, 30];

for (const kind of allKinds) {
  describe(`erasing somebody while others are at it (${kind})`, function () {
    this.timeout(240_000);
    let system: Searchable;
    before(async function () {
      if (!(await hasEngine(kind))) this.skip();
      system = await startSearchable(kind, { RATE_LIMIT: 'off' });
    });
    after(() => system?.server.stop());

    for (let round = 0; round < ROUNDS; round++)
      it(`leaves no room in which they can be written to, and nothing of theirs (round ${round})`, async () => {
        const draw = seeded(round);
        const { server } = system;
        const [ada, ben] = await two(server);
        const others = await Promise.all(Array.from({ length: 4 }, () => Newcomer.at(server)));
        const phone = await ada.device();
        const tablet = await ben.device();
        const devices = await Promise.all(others.map((other) => other.device()));
        const { room } = await phone.request('init chat', { friendId: ben.userId });
        const secret = `the words of round ${round}: ${randomUUID()}`;
        await say(phone, room.roomId, secret);
        const traces = [ada.user.username ?? '', secret, String(await system.wrappedKey(ada.userId))];
        let isOver = false;
        const until = async (work: () => Promise<unknown>): Promise<void> => {
          for (; !isOver; await pause(1)) await work();
        };
        const busy = [
          until(() => tryTo(system.rebuild?.('users') ?? pause(100))),
          until(() => tryTo(say(tablet, room.roomId, 'to her'))),
          until(() => tryTo(tablet.request('fetch messages', { roomId: room.roomId }))),
          until(() => tryTo(new Rest(server.url).search(ben.token, ada.user.username ?? ''))),
          until(() => tryTo(ask(server.url, `GET /user/${ben.userId}/export`, ben))),
          ...devices.map(async (device) => {
            await pause(Math.floor(draw() * 60));
            await until(() => tryTo(device.request('init chat', { friendId: ada.userId })));
          }),
          until(() => Promise.race([tryTo(say(phone, room.roomId, secret)), phone.closed])),
        ];
        await pause(Math.floor(draw() * 80));
        await new Rest(server.url).erase(ada.token, ada.userId, ada.password);
        // From the answer on, while all the others are still busy.
        expect(await system.tracesOf(traces)).to.deep.equal([]);
        await nothingWithHer(tablet, ada);
        for (const device of devices) await nothingWithHer(device, ada);
        isOver = true;
        await Promise.all(busy);
        for (const [i, device] of devices.entries()) await onlyForbidden(device, ada, others[i]);
        await onlyForbidden(tablet, ada, ben);
        expect(await system.tracesOf(traces)).to.deep.equal([]);
        await Promise.all([tablet, ...devices].map((device) => device.close()));
      });

    // On MongoDB the tests with several processes cover a single one.
    if (kind !== 'mongodb')
      it('is finished after a process was killed in the middle of it', async () => {
        const { server } = system;
        for (const delayMs of kind === 'sqlite' ? DELAYS_MS : [30]) {
          const [ada, ben] = await two(server);
          const phone = await ada.device();
          const { room } = await phone.request('init chat', { friendId: ben.userId });
          await say(phone, room.roomId, 'to be cut off');
          const key = String(await system.wrappedKey(ada.userId));
          const asked = new Rest(server.url)
            .erase(ada.token, ada.userId, ada.password)
            .catch(() => undefined);
          await pause(delayMs);
          await server.kill();
          await asked;
          await server.start();
          await eventually('it is finished', async () => {
            // The kill may have come before the erasure began.
            await new Rest(server.url).erase(ada.token, ada.userId, ada.password).catch(() => undefined);
            return (await system.tracesOf([ada.user.username ?? '', key])).length === 0;
          });
          const tablet = await ben.device();
          await eventually('he cannot write to her', async () =>
            tablet
              .refusal('send message', { roomId: room.roomId, messageId: randomUUID(), message: 'hello?' })
              .then(({ code }) => code === 'forbidden')
              .catch(() => false),
          );
          await tablet.close();
        }
      });
  });
}

/** The work may be refused or cut off; only the erasure is tested. */
const tryTo = (work: Promise<unknown>): Promise<unknown> => work.catch(() => pause(2));

async function nothingWithHer(device: RawSocket, { userId, user }: Newcomer): Promise<void> {
  expect(await device.refusal('init chat', { friendId: userId })).to.include({ code: 'not_found' });
  const { chats } = await device.request('get active chats', {});
  expect(JSON.stringify(chats)).not.to.include(user.username);
}

/** Every room with the erased user names them as erased, and accepts no message. */
async function onlyForbidden(device: RawSocket, ada: Newcomer, me: Newcomer | undefined): Promise<void> {
  const { chats } = await device.request('get active chats', {});
  for (const { roomId, participants } of chats) {
    const her = participants.find(({ userId }) => userId !== me?.userId);
    expect(her).to.include({ userId: ada.userId, username: null, erased: true });
    const send = { roomId, messageId: randomUUID(), message: 'are you there?' };
    expect(await device.refusal('send message', send)).to.include({ code: 'forbidden' });
  }
}
