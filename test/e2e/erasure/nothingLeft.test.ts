import { expect } from 'chai';
import { Rest } from '../../../packages/client/src/rest.js';
import { foldCase } from '../../../src/projections/models/userNames.js';
import { allKinds, hasEngine } from '../../support/engines.js';
import { ask } from '../../support/http.js';
import { type Device, newDevice, type Person, signUp } from '../../support/people.js';
import { type Searchable, startSearchable } from './traces.js';

const USERS = 40;
const ERASED = 4;

for (const kind of allKinds) {
  describe(`what is stored of somebody who has been erased (${kind})`, function () {
    this.timeout(180_000);
    let system: Searchable;
    const people: Person[] = [];

    before(async function () {
      if (!(await hasEngine(kind))) this.skip();
      system = await startSearchable(kind, { RATE_LIMIT: 'off' });
      for (let i = 0; i < USERS; i++)
        people.push(await signUp(system.server, `Quixotic-${i}-${(i * 7919).toString(36)}`));
    });
    after(() => system?.server.stop());

    it('is neither their name, nor their texts, nor their key, from the moment of the answer', async () => {
      const { server } = system;
      for (const [i, person] of people.slice(0, ERASED).entries()) {
        const other = people[USERS - 1 - i] as Person; // There are more users than that.
        const device = await newDevice(server, person);
        const text = `my words ${i} ${'are mine '.repeat(20)}`;
        await sayTo(device, other, text);
        // Two display names, so that the first is left in what was replaced.
        const profiles = [1, 2].map((n) => ({
          displayName: `Ünlikely ${i} ${n} Tßest`,
          about: `about ${i} ${n} ${'and so on '.repeat(20)}`,
          status: `my status ${i} ${n} for now`,
        }));
        for (const json of profiles)
          expect((await ask(server.url, 'PATCH /user/me', { token: device.token, json })).status).to.equal(
            200,
          );
        const key = await system.wrappedKey(person.user.userId);
        const name = person.username.toLowerCase();
        const shown = profiles.flatMap(({ displayName, ...texts }) => [
          foldCase(displayName),
          ...Object.values(texts),
        ]);
        const traces = [name, person.username, name.slice(3), text, ...shown, String(key)];
        // A negative control: the search does find stored names.
        expect(await system.tracesOf(traces)).to.include.members([
          ...[name, name.slice(3), foldCase(profiles[1]?.displayName ?? ''), String(key)],
        ]);
        await new Rest(server.url).erase(device.token, person.user.userId, person.password);
        expect(await system.tracesOf(traces), person.username).to.deep.equal([]);
        expect(await system.wrappedKey(person.user.userId)).to.equal(null);
        device.close();
      }
    });

    it('is nothing of these after a restart either, and all of the others', async () => {
      await system.server.restart();
      const erased = people.slice(0, ERASED).map(({ username }) => username.toLowerCase());
      const others = people.slice(ERASED).map(({ username }) => username.toLowerCase());
      expect(await system.tracesOf(erased)).to.deep.equal([]);
      expect(await system.tracesOf(others)).to.have.members(others);
    });
  });
}

async function sayTo(device: Device, other: Person, text: string): Promise<void> {
  await device.client.request('add friend', { friendId: other.user.userId });
  await device.say(await device.chatWith(other), text);
}
