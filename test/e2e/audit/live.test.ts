import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { EventFilter } from '../../../src/audit/events/eventFilter.js';
import { replay } from '../../../src/audit/events/replay.js';
import { verifyLog } from '../../../src/audit/verify/verify.js';
import type { Engine } from '../../../src/projections/store/engine.js';
import { commandEngines, hasEngine, leftOutOnNodes, startFresh } from '../../support/engines.js';
import { eventually } from '../../support/eventually.js';
import type { ServerProcess } from '../../support/server.js';
import { say, talk } from '../newcomer.js';

const TIMES = 5;

leftOutOnNodes('verify and replay beside a running server', 'they read the log, whoever writes it');
for (const kind of commandEngines)
  describe(`beside a server on ${kind} that people use`, function () {
    this.timeout(120_000);
    let server: ServerProcess;
    let engine: Engine;
    before(async function () {
      if (!(await hasEngine(kind))) return this.skip();
      server = await startFresh(kind, { env: { RATE_LIMIT: 'off' } });
      engine =
        kind === 'sqlite' ? { kind, dataDir: server.dataDir } : { kind, url: server.env.MONGO_URL ?? '' };
    });
    after(() => server?.stop());

    it('the log and its read models are found whole, and every message once', async () => {
      const { phone, roomId } = await talk(server);
      let said = 1;
      let isTalking = true;
      const talking = (async () => {
        while (isTalking) {
          await Promise.all(Array.from({ length: 20 }, () => say(phone, roomId, 'on and on')));
          said += 20;
        }
      })();
      let events = 0;
      for (let time = 0; time < TIMES; time++) {
        // Of two rounds of messages, the last look can have seen the first.
        const seen = said;
        await eventually('people go on', () => said >= seen + 40);
        const { partitions, mismatch } = await verifyLog({ engine, heads: [], since: [], keys: [] });
        expect(mismatch).to.equal(undefined);
        const now = partitions.reduce((sum, partition) => sum + partition.events, 0);
        expect(now, 'people went on').to.be.greaterThan(events);
        events = now;
      }
      isTalking = false;
      await talking;

      const seqs = (await replayed({ type: 'MessageSent' })).map(({ data }) => data.seq);
      expect(seqs).to.deep.equal(Array.from({ length: said }, (_, i) => i + 1));
    });

    it('both are whole after somebody was erased, and nothing of them is replayed', async () => {
      const { ada, roomId } = await talk(server);
      const response = await fetch(`${server.url}/user/${ada.userId}`, {
        method: 'DELETE',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${ada.token}` },
        body: JSON.stringify({ password: ada.password }),
      });
      expect(response.status).to.equal(204);
      expect((await verifyLog({ engine, heads: [], since: [], keys: [] })).mismatch).to.equal(undefined);
      const [sent] = await replayed({ type: 'MessageSent', stream: `room:${roomId}` });
      expect(sent).to.deep.include({ actor: ada.userId, erased: true });
      expect(sent?.data).to.include({ text: null });
    });

    /** An event as a line of JSON. */
    interface Line {
      readonly actor: string;
      readonly erased?: true;
      readonly data: { readonly seq: number; readonly text: string | null };
    }

    async function replayed(filter: EventFilter): Promise<Line[]> {
      const masterKey = Buffer.from(readFileSync(join(server.dataDir, 'master.key'), 'utf8'), 'base64');
      const lines: Line[] = [];
      await replay({ engine, masterKey, as: 'json', filter }, async (text) => {
        for (const line of Buffer.from(text).toString().trimEnd().split('\n')) lines.push(JSON.parse(line));
      });
      return lines;
    }
  });
