import { expect } from 'chai';
import type { Store } from '../../../packages/client/src/store/storeTypes.js';
import { OpenedStores, shown } from '../../client/store/people.js';
import { eventually } from '../../support/eventually.js';
import { signUp } from '../../support/people.js';
import { type ServerProcess, startServer } from '../../support/server.js';

describe('a store that begins while others write', () => {
  let server: ServerProcess;
  const stores = new OpenedStores();

  before(async () => {
    server = await startServer({ engine: 'sqlite', env: { RATE_LIMIT: 'off' } });
  });

  after(async () => {
    stores.closeAll();
    await server.stop();
  });

  it('misses nothing of what was before it, nor of what comes after', async () => {
    const ada = await signUp(server, 'ada');
    const ben = await signUp(server, 'ben');
    const of = await stores.open(server, ada);
    const { roomId } = await of.openChat(ben.user.userId);
    const mine = of.openRoom(roomId);
    const texts = Array.from({ length: 400 }, (_, i) => `line ${i}`);
    for (const text of texts) mine.send(text);
    const said = (n: number) => eventually(`${n} are said`, () => shown(mine).indexOf(`line ${n}`) >= n);
    const begun: Store[] = [];
    for (const n of [50, 150, 250, 399]) {
      await said(n);
      begun.push(await stores.open(server, ben));
    }
    await eventually('all are said', () => mine.get().entries.every(({ state }) => state === 'stored'));
    for (const store of begun) {
      const room = store.openRoom(roomId);
      await eventually('it has come to the last', () => shown(room).at(-1) === 'line 399');
      while (room.get().history.state !== 'complete') await room.earlier();
      expect(shown(room)).to.deep.equal(texts);
    }
  });
});
