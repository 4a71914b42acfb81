import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import type { User } from '../../../packages/client/src/types.js';
import { hasEngine, kindsWith } from '../../support/engines.js';
import { eventually } from '../../support/eventually.js';
import { ask } from '../../support/http.js';
import { isSoak } from '../../support/lanes.js';
import { parley } from '../../support/parley.js';
import { upTo, withSeed } from '../../support/random.js';
import type { RawSocket } from '../../support/rawSocket.js';
import { Newcomer, say } from '../newcomer.js';
import { type Searchable, startSearchable } from './traces.js';

const GROUPS = isSoak ? 200 : 40;
const MESSAGES = 3;
const KILLS = isSoak ? 10 : 1;
/** The kill comes within this time, which is about how long the erasure takes. */
const MOST_DELAY_MS = isSoak ? 600 : 200;

interface Group {
  readonly roomId: string;
  /** Who is to be its owner once Ada is erased. */
  readonly owner: string;
}

for (const kind of kindsWith('nodes'))
  describe(`erasing the last owner of many groups (${kind})`, function () {
    this.timeout(600_000);
    let system: Searchable;
    before(async function () {
      if (!(await hasEngine(kind))) this.skip();
      system = await startSearchable(kind, { RATE_LIMIT: 'off' });
    });
    after(() => system?.server.stop());

    /** Somebody who has written in all these groups and is the only owner of every second one. */
    async function prepare() {
      const { server } = system;
      const [ada, ben, eve] = [
        await Newcomer.at(server),
        await Newcomer.at(server),
        await Newcomer.at(server),
      ];
      const [phone, tablet] = [await ada.device(), await ben.device()];
      const make = async (i: number): Promise<Group> => {
        const roomId = randomUUID();
        const [owner, others] = i % 2 === 0 ? [phone, [ben, eve]] : [tablet, [ada, eve]];
        const memberIds = others.map(({ userId }) => userId);
        await owner.request('create group', { roomId, name: `group ${i}`, memberIds });
        // In every fourth group an admin, who came later than a member, comes first.
        const isAdmin = i % 4 === 0;
        const admin = { roomId, userId: eve.userId, role: 'admin' } as const;
        if (isAdmin) await owner.request('change role', admin);
        for (let n = 0; n < MESSAGES; n++) await say(phone, roomId, `message ${n} of hers`);
        return { roomId, owner: isAdmin ? eve.userId : ben.userId };
      };
      const groups = await Promise.all(Array.from({ length: GROUPS }, (_, i) => make(i)));
      await Promise.all([phone, tablet].map((device) => device.close()));
      return { ada, ben, groups };
    }
    const erase = ({ userId, token, password }: Newcomer) =>
      ask(system.server.url, `DELETE /user/${userId}`, { token, json: { password } });

    /** The others go on in each group, and Ada is nowhere in it. */
    async function isErased(tablet: RawSocket, ada: Newcomer, { roomId, owner }: Group): Promise<void> {
      // After a kill, what a node had not folded is waited for, and refused after 5 s.
      const { members } = await tablet.persist('get members', { roomId });
      const roles = members.map(({ user, role }) => [user.userId, role]);
      expect(roles.map(([userId]) => userId)).to.not.include(ada.userId);
      expect(roles.filter(([, role]) => role === 'owner')).to.deep.equal([[owner, 'owner']]);
      const { messages } = await tablet.persist('fetch messages', { roomId });
      expect(messages.map(({ message, erased }) => [message, erased])).to.deep.equal(
        Array.from({ length: MESSAGES }, () => [null, true]),
      );
    }

    it('leaves each group an owner, and nothing of the user, from the answer on', async () => {
      const { ada, ben, groups } = await prepare();
      const secrets = [...(await system.textSecretsOf(ada.userId)), ada.user.username ?? ''];
      expect(await system.tracesOf(secrets), 'a control').to.have.length.above(0);
      expect((await erase(ada)).status).to.equal(204);
      expect(await system.tracesOf(secrets)).to.deep.equal([]);
      const tablet = await ben.device();
      for (const group of groups) await isErased(tablet, ada, group);
      await tablet.close();
    });

    it('is finished after a kill at any time', () =>
      withSeed(async (random) => {
        for (let kill = 0; kill < KILLS; kill++) {
          const { ada, ben, groups } = await prepare();
          const secrets = [...(await system.textSecretsOf(ada.userId)), ada.user.username ?? ''];
          const asked = erase(ada).catch(() => undefined);
          await pause(upTo(MOST_DELAY_MS, random));
          await system.server.kill();
          await asked;
          await system.server.start();
          const profile = async (): Promise<User | undefined> => {
            const path = `GET /user/${ada.userId}`;
            return (await ask(system.server.url, path, { token: ben.token }).catch(() => undefined))?.body
              ?.user;
          };
          await eventually('the server answers', async () => (await profile()) !== undefined);
          // The kill may have come before the erasure was decided; else nobody asks again.
          const begun = async () => (await profile())?.erased === true || (await erase(ada)).status < 500;
          await eventually('it has begun', begun);
          await eventually(
            'nothing of her is stored',
            async () => (await system.tracesOf(secrets)).length === 0,
          );
          const { out } = await parley(['audit', 'replay', '--type', 'UserErased'], system.server.settings);
          expect(out).to.include(ada.userId);
          const tablet = await ben.device();
          for (const group of groups)
            await eventually('she has left the group', async () => {
              const { members } = await tablet.persist('get members', { roomId: group.roomId });
              return members.every(({ user }) => user.userId !== ada.userId);
            });
          for (const group of groups) await isErased(tablet, ada, group);
          await tablet.close();
        }
        const verified = await parley(['audit', 'verify'], system.server.settings);
        expect(verified.out, verified.err).to.include('verified: nothing is wrong');
      }));
  });
