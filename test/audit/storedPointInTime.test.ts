import { expect } from 'chai';
import { readStoredRoomAt, readStoredUserAt } from '../../src/audit/pointInTime.js';
import { allEngines, hasEngine } from '../support/engines.js';
import { freshDatabase } from '../support/mongo.js';
import { tempDir } from '../support/tempDir.js';
import { type SmallLog, smallLog } from './smallLog.js';

for (const kind of allEngines)
  describe(`a point in time of a system that does not run (${kind})`, () => {
    let log: SmallLog;
    before(async function () {
      if (!(await hasEngine(kind))) return this.skip();
      const engine = kind === 'sqlite' ? { kind, dataDir: tempDir() } : { kind, url: await freshDatabase() };
      log = await smallLog(engine, { partitions: 2 });
    });

    it('is a room with what was said until then', async () => {
      const { messages, members, readUpTo } = await readStoredRoomAt(log, log.annAndBob, { seq: 3 });
      expect(messages.map(({ message }) => message)).to.deep.equal(['message 1', 'message 2', 'message 3']);
      expect(members.map(({ username }) => username)).to.have.members(['ann', 'bob']);
      expect(readUpTo).to.deep.equal({ [log.ann]: 3, [log.bob]: 0 });
      const now = await readStoredRoomAt(log, log.annAndBob, { time: '9999-01-01T00:00:00.000Z' });
      expect(now.messages).to.have.length(6);
    });

    it('is a user with their friends and rooms', async () => {
      const { user, friends, rooms, isOnline } = await readStoredUserAt(
        log,
        log.ann,
        '9999-01-01T00:00:00.000Z',
      );
      expect(user).to.include({ userId: log.ann, username: 'ann' });
      expect(friends.map(({ username }) => username)).to.deep.equal(['bob']);
      expect(rooms).to.have.length(2);
      expect(isOnline).to.equal(true);
    });
  });
