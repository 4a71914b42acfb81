import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { hasEngine } from '../../support/engines.js';
import { eventually } from '../../support/eventually.js';
import { isSoak } from '../../support/lanes.js';
import { parley } from '../../support/parley.js';
import { RawSocket } from '../../support/rawSocket.js';
import { ServerProcess } from '../../support/server.js';
import { tempDir } from '../../support/tempDir.js';
import { TwoNodes } from '../../support/twoNodes.js';
import { type Variant, variantBuild } from '../../support/variantBuild.js';
import { Newcomer, say } from '../newcomer.js';
import { documentsOf, filesOf, type Searchable } from './traces.js';

/** A port that fails on purpose: the process ends there as by SIGKILL, if it was started with this step. */
const DIE_AT = `
export function dieAt(step: string): void {
  if (process.env.DIE_AT === step) process.kill(process.pid, 'SIGKILL');
}
`;
const imported = (line: string) => [line, `${line}\nimport { dieAt } from '../base/dieAt.js';`] as const;

/** The process may end between any two of these: writes of the vault, and what follows them. */
const CHANGES = {
  'src/erasure/deletedTexts.ts': [
    imported("import { outcomeUnknown } from '../base/errors.js';"),
    [
      '    for (const { room, seqs } of rooms.values()) await',
      "    if (rooms.size > 0) dieAt('begin');\n    for (const { room, seqs } of rooms.values()) await",
    ],
    [
      '    this.#size = frame.size;\n    await this.#retry(() => this.save());',
      "    if (rooms.size > 0) dieAt('before the progress');\n    this.#size = frame.size;\n    await this.#retry(() => this.save());\n    if (rooms.size > 0) dieAt('end');",
    ],
  ],
  'src/erasure/heldTexts.ts': [
    imported("import { partitionOf } from '../log/log.js';"),
    ['    const rest = seqs.filter(', "    dieAt('behind the holds');\n    const rest = seqs.filter("],
    ['    if (held.size > 0) keys.forgetRoomKeys(room);', "    dieAt('before the caches');"],
  ],
  'src/vault/keyStore.ts': [
    imported("import { ExpiringCache } from '../base/collections.js';"),
    [
      '      if (differ(left, stored) && !(await this.rows.replaceRoom(',
      "      dieAt('before the room');\n      if (differ(left, stored) && !(await this.rows.replaceRoom(",
    ],
    ['    const roots = cutOutOfEach(', "    dieAt('behind the room');\n    const roots = cutOutOfEach("],
  ],
  'src/vault/vaultWorker.ts': [
    imported("import { removeCopies } from '../base/files.js';"),
    [
      '  removeCopies(file, count === 1 ? secrets : undefined);',
      "  dieAt('before the copies');\n  removeCopies(file, count === 1 ? secrets : undefined);\n  dieAt('behind the copies');",
    ],
  ],
} as const;

const EVERYWHERE = ['begin', 'behind the holds', 'before the room', 'behind the room'];
/** The embedded vault also clears copies of what it has overwritten. */
const STEPS = {
  sqlite: isSoak
    ? [
        ...[...EVERYWHERE, 'before the copies', 'behind the copies', 'before the caches'],
        ...['before the progress', 'end'],
      ]
    : ['behind the room', 'before the copies', 'before the progress'],
  nodes: isSoak ? [...EVERYWHERE, 'before the caches', 'before the progress', 'end'] : ['behind the room'],
} as const;

interface Killed extends Pick<Searchable, 'tracesOf' | 'textSecretsOf'> {
  /** Starts the server that carries out the deletion. It kills itself at this step. */
  startAt(step: string): Promise<ServerProcess>;
  /** An id for a group that this server will delete in. */
  roomId(): Promise<string>;
  /** Whoever comes next. */
  next(): Promise<ServerProcess>;
  stop(): Promise<unknown>;
}

function onFiles({ main }: Variant): Killed {
  const dataDir = tempDir();
  const env = { RATE_LIMIT: 'off' };
  const dying = new ServerProcess({ engine: 'sqlite', dataDir, main, env });
  const after = new ServerProcess({ engine: 'sqlite', dataDir, env });
  return {
    ...filesOf(dataDir),
    async startAt(step) {
      await after.stop().catch(() => undefined);
      return dying.start({ DIE_AT: step });
    },
    roomId: async () => randomUUID(),
    next: () => after.start(),
    stop: () => after.stop(),
  };
}

async function onNodes({ main }: Variant): Promise<Killed> {
  const nodes = await TwoNodes.fresh([main]);
  await nodes.start();
  return {
    ...documentsOf(nodes.url),
    async startAt(step) {
      await nodes.first.stop();
      await nodes.first.start({ DIE_AT: step });
      await nodes.untilItOwns(nodes.first);
      return nodes.first;
    },
    roomId: () => nodes.groupIdOn(nodes.first),
    next: async () => nodes.second,
    async stop() {
      await nodes.second.stop();
      await nodes.first.kill();
    },
  };
}

let built: Promise<Variant> | undefined;

for (const kind of ['sqlite', 'nodes'] as const)
  describe(`a message whose deletion is cut off (${kind})`, function () {
    this.timeout(600_000);
    let system: Killed;
    before(async function () {
      if (!(await hasEngine(kind))) this.skip();
      built ??= variantBuild(CHANGES, { 'src/base/dieAt.ts': DIE_AT });
      const variant = await built;
      system = kind === 'sqlite' ? onFiles(variant) : await onNodes(variant);
    });
    after(() => system?.stop());

    /**
     * Somebody new writes two messages in a group of their own, and deletes the second. It is answered where the other node
     * has carried the deletion out, as it may for a second after the partition has moved.
     */
    async function deleteOn(dying: ServerProcess) {
      const ada = await Newcomer.at(dying);
      const phone = await ada.device();
      const roomId = await system.roomId();
      await phone.request('create group', { roomId, name: 'cut off', memberIds: [] });
      const { message: kept } = await say(phone, roomId, 'kept');
      const messageId = randomUUID();
      await phone.request('send message', {
        ...{ roomId, messageId, message: 'first text' },
        data: { of: 'nobody' },
      });
      await phone.request('edit message', { roomId, messageId, editId: randomUUID(), message: 'second' });
      const secrets = await system.textSecretsOf(ada.userId);
      expect(await system.tracesOf(secrets), 'a control').to.deep.equal(secrets);
      const isAnswered = await phone.answer(phone.send('delete message', { roomId, messageId })).then(
        () => true,
        () => false,
      );
      return { ada, roomId, messageId, kept, secrets, isAnswered };
    }

    for (const step of STEPS[kind])
      it(`is gone once the next owner runs, and nothing else is, after a kill at: ${step}`, async () => {
        const dying = await system.startAt(step);
        let deleted = await deleteOn(dying);
        while (deleted.isAnswered) deleted = await deleteOn(dying);
        expect(await dying.exited).to.include({ signal: 'SIGKILL' });
        const { ada, roomId, messageId, kept, secrets } = deleted;

        const next = await system.next();
        // Without anybody asking again.
        await eventually('what held its key is nowhere', async () => {
          const found = await system.tracesOf(secrets);
          return found.length === 0;
        });
        let device: RawSocket | undefined;
        await eventually('she is let in', async () => {
          device = await RawSocket.open(next.wsUrl, ada.token).catch(() => undefined);
          return device !== undefined;
        });
        if (!device) throw new Error('she was let in');
        // Behind the answer to a repeat, her questions see the deletion: its keys may go before the rows show it.
        await device.persist('delete message', { roomId, messageId });
        const { messages } = await device.persist('fetch messages', { roomId });
        expect(messages.map(({ message, deleted }) => [message, deleted])).to.deep.equal([
          [kept, undefined],
          [null, { by: ada.userId }],
        ]);
        await device.close();
        const { out } = await parley(['audit', 'replay', '--stream', `room:${roomId}`], next.settings);
        const texts = out
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
          .filter(({ data }) => 'text' in data)
          .map(({ data }) => [data.text, data.data ?? null]);
        expect(texts).to.deep.equal([
          ['kept', null],
          [null, null],
          [null, null],
        ]);
        const verified = await parley(['audit', 'verify'], next.settings);
        expect(verified.out, verified.err).to.include('verified: nothing is wrong');
      });
  });
