import { expect } from 'chai';
import type { EventFilter } from '../../src/audit/events/eventFilter.js';
import type { Form } from '../../src/audit/events/render.js';
import { replay } from '../../src/audit/events/replay.js';
import { type OpenEvent, openEvents } from '../../src/audit/events/transcript.js';
import { openVault } from '../../src/vault/openVault.js';
import { allEngines, hasEngine } from '../support/engines.js';
import { isSoak } from '../support/lanes.js';
import { freshDatabase } from '../support/mongo.js';
import { tempDir } from '../support/tempDir.js';
import { type SmallLog, smallLog } from './smallLog.js';

async function textOf(log: SmallLog, as: Form, filter: EventFilter = {}): Promise<string> {
  const { engine, masterKey } = log;
  let text = '';
  await replay({ engine, masterKey: as === 'sealed' ? undefined : masterKey, as, filter }, async (part) => {
    text += Buffer.from(part).toString();
  });
  return text;
}

async function eventsOf(log: SmallLog, filter?: EventFilter): Promise<OpenEvent[]> {
  const lines = (await textOf(log, 'json', filter)).split('\n');
  expect(lines.pop(), 'each line ends').to.equal('');
  return lines.map((line) => JSON.parse(line));
}

const place = ({ recordedAt, partition, offset }: OpenEvent) => [recordedAt, partition, offset] as const;

for (const kind of allEngines)
  describe(`parley audit replay on ${kind}`, function () {
    this.timeout(120_000);
    let log: SmallLog;
    before(async function () {
      if (!(await hasEngine(kind))) return this.skip();
      const engine = kind === 'sqlite' ? { kind, dataDir: tempDir() } : { kind, url: await freshDatabase() };
      log = await smallLog(engine, { partitions: 3, messages: 20 });
    });

    it('gives every event once, by time, then partition, then offset, and opened', async () => {
      const events = await eventsOf(log);
      expect(events).to.have.length(log.events.length);
      expect(new Set(events.map(({ commandId }) => commandId))).to.have.property('size', log.events.length);
      const sorted = events.toSorted((a, b) => {
        const [timeA, partitionA, offsetA] = place(a);
        const [timeB, partitionB, offsetB] = place(b);
        return timeA < timeB ? -1 : timeA > timeB ? 1 : partitionA - partitionB || offsetA - offsetB;
      });
      expect(events.map(place)).to.deep.equal(sorted.map(place));
      const [message] = events.filter(({ type }) => type === 'MessageSent');
      expect(message).to.have.keys(
        ...['partition', 'offset', 'stream', 'version', 'type', 'data', 'actor', 'recordedAt', 'commandId'],
      );
      expect(message?.data).to.include({ text: 'message 1' });
      expect(events.find(({ type }) => type === 'UserRegistered')?.data).to.include({ username: 'ann' });
    });

    it('gives what a filter asks for', async () => {
      const all = await eventsOf(log);
      const stream = `room:${log.annAndBob}` as const;
      const since = all[10]?.recordedAt ?? '';
      const until = all[30]?.recordedAt ?? '';
      const filters: [EventFilter, (event: OpenEvent) => boolean][] = [
        [{ stream }, (event) => event.stream === stream],
        [{ type: 'MessagesRead' }, (event) => event.type === 'MessagesRead'],
        [{ topic: 'messages' }, ({ type }) => /^Message/.test(type)],
        [{ except: 'MessageSent' }, ({ type }) => type !== 'MessageSent'],
        [{ topic: 'messages', except: 'MessagesRead,UserErased' }, ({ type }) => type === 'MessageSent'],
        [
          { actor: log.bob, except: 'MessagesRead' },
          (event) => event.actor === log.bob && event.type !== 'MessagesRead',
        ],
        [{ actor: log.bob }, (event) => event.actor === log.bob],
        [{ partition: 1 }, (event) => event.partition === 1],
        [{ since }, (event) => event.recordedAt >= since],
        [{ until }, (event) => event.recordedAt < until],
        [
          { since, until, type: 'MessageSent' },
          (event) => event.recordedAt >= since && event.recordedAt < until && event.type === 'MessageSent',
        ],
        [{ since: '2036-01-01T00:00:00.000Z' }, () => false],
      ];
      // MongoDB is asked some, which are applied as on the other engine; the long form asks all.
      const step = isSoak || kind === 'sqlite' ? 1 : 4;
      for (const [filter, isWanted] of filters.filter((_, i) => i % step === 0))
        expect(await eventsOf(log, filter), JSON.stringify(filter)).to.deep.equal(all.filter(isWanted));
    });

    it('leaves texts sealed without the master key, and gives everything else as it is', async () => {
      const lines = (await textOf(log, 'sealed')).split('\n');
      expect(lines.pop(), 'each line ends').to.equal('');
      const [sealed, opened] = [lines.map((line) => JSON.parse(line)), await eventsOf(log)];
      const vault = await openVault(log);
      try {
        expect(await openEvents(vault.keys, sealed)).to.deep.equal(opened);
      } finally {
        await vault.close();
      }
      const isMessage = ({ type }: { type: string }) => type === 'MessageSent';
      expect(sealed.filter(isMessage).every(({ data }) => !data.text.includes(' '))).to.equal(true);
    });

    it('reads as a transcript', async () => {
      const lines = (await textOf(log, 'transcript')).split('\n');
      expect(lines.some((line) => line.endsWith('ann signed up'))).to.equal(true);
      const said = `ann in room ${log.annAndBob}, message 1: "message 1"`;
      expect(lines.some((line) => line.endsWith(said))).to.equal(true);
      expect(lines.some((line) => line.includes('bob has read room'))).to.equal(true);
    });

    it('shows what was erased as erased', async () => {
      const { engine, masterKey, ann } = log;
      const vault = await openVault({ engine, masterKey });
      await vault.keys.destroy(ann);
      await vault.close();
      for (const event of await eventsOf(log)) {
        const isSealed =
          event.type === 'MessageSent' || (event.type === 'UserRegistered' && event.actor === ann);
        expect(event.erased, `${event.type} of ${event.actor}`).to.equal(isSealed ? true : undefined);
        if (event.type === 'MessageSent') expect(event.data).to.include({ text: null });
      }
      const text = await textOf(log, 'transcript');
      const said = `erased user ${ann} in room ${log.annAndBob}, message 1: (erased)`;
      expect(text).to.include(said).and.not.include('ann ');
    });
  });
