import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { expect } from 'chai';
import { freshDatabase, mongoUrl } from '../support/mongo.js';
import { natsUrl } from '../support/nats.js';
import { parley } from '../support/parley.js';
import type { RawSocket } from '../support/rawSocket.js';
import { ServerProcess } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';
import { type Variant, variantBuild } from '../support/variantBuild.js';
import { chatOf, hear, Newcomer, say } from './newcomer.js';

/** All that a new feature needs: its declaration, and what it folds into a read model. */
const LIKES = `
import { z } from 'zod';
import { notFound } from '../base/errors.js';
import { clientCommand, type Decision } from './defineCommand.js';
import { event } from './defineEvent.js';
import { push } from './defineEvent.js';
import { Id, Revision } from './fields.js';
import { roomOfMember, roomStream } from './streams.js';

export const topic = 'messages';

const Like = z.strictObject({ roomId: z.string(), userId: z.string(), messageId: z.string() });

export const likePush = push('like message', { isStored: true, data: Like, note: 'A member likes a message.' });

export const MessageLiked = event('MessageLiked', roomStream, {
  data: Like,
  push: ({ data }, { members }) => [likePush.of({ to: members, room: data.roomId, data: () => data })],
  line: ({ data }, { who }) => \`\${who(data.userId)} likes message \${data.messageId}\`,
});

export const likeMessage = clientCommand('like message', roomStream, {
  data: { roomId: Id, messageId: Id },
  answer: z.strictObject({ revision: Revision }),
  note: 'Likes a message of a room of mine.',
  streamId: ({ roomId }) => roomId,
  wants: ({ roomId, messageId }) => ({ messages: [{ roomId, messageId }] }),
  decide(command, state, { message }): Decision<object> {
    const found = roomOfMember(state, command);
    if ('refused' in found) return found;
    const { actor: userId, roomId, messageId } = command;
    if (!message({ roomId, messageId })) return { refused: notFound('there is no such message') };
    const liked = MessageLiked.of(roomId, { roomId, userId, messageId });
    return { events: [liked], answer: {} };
  },
  reply: (_, _answer, revision) => ({ revision }),
});
`;

const CHANGES = {
  'src/domain/features.ts': [
    [
      "import * as messages from './messages/messages.js';",
      "import * as likes from './likes.js';\nimport * as messages from './messages/messages.js';",
    ],
    ['const features = [', 'const features = [likes, '],
  ],
  'src/projections/models/chatRows.ts': [
    [
      '  readonly lastMessage: SealedMessage | null;',
      '  readonly lastMessage: SealedMessage | null;\n  readonly likes?: number;',
    ],
    [
      "    case 'MemberErased':",
      "    case 'MessageLiked':\n      return { ...chat, likes: (chat.likes ?? 0) + 1 };\n    case 'MemberErased':",
    ],
  ],
} as const;

// The name is not in the contract of the build under test.
const LIKE = 'like message' as never;
const likesOf = (socket: RawSocket): unknown[] => socket.pushed(LIKE);
const like = (socket: RawSocket, roomId: string, messageId: string) =>
  socket.request(LIKE, { roomId, messageId } as never);
const caughtUp = (socket: RawSocket) => socket.push('identity', (data) => data.caughtUp);

describe('a feature that is declared in one file of domain', function () {
  this.timeout(180_000);
  let variant: Variant;
  const servers: ServerProcess[] = [];

  before(async () => {
    // The compiler asks for nothing more: types are checked.
    variant = await variantBuild(CHANGES, { 'src/domain/likes.ts': LIKES }, true);
  });

  afterEach(async () => {
    for (const server of servers.splice(0)) await server.stop().catch(() => undefined);
  });

  const start = async (engine: 'sqlite' | 'mongodb', env: Readonly<Record<string, string>> = {}) => {
    const server = new ServerProcess({ engine, env, main: variant.main });
    servers.push(server);
    return server.start();
  };

  /** Ada and Ben are on servers of their own, or on the same one. */
  async function tryOut(adas: ServerProcess, bens: ServerProcess): Promise<void> {
    const [ada, ben] = [await Newcomer.at(adas), await Newcomer.at(bens)];
    const [phone, tablet] = [await ada.device(), await ben.device()];
    const from = tablet.cursor;
    const roomId = await chatOf(phone, ben);
    const { messageId } = await say(phone, roomId, 'hello');
    await hear(tablet, 'hello');
    const liked = { roomId, userId: ada.userId, messageId };

    // Live: the other member gets it. An unknown message is refused.
    await like(phone, roomId, messageId);
    expect((await tablet.push(LIKE)).data).to.deep.equal(liked);
    const unknown = '11111111-1111-4111-8111-111111111111';
    expect(await phone.refusal('like message', { roomId, messageId: unknown })).to.include({
      code: 'not_found',
    });
    expect(likesOf(phone), 'its own').to.deep.equal([]);

    // After a gap: the node has kept the push.
    const { cursor } = tablet;
    await tablet.close();
    await like(phone, roomId, messageId);
    const back = await ben.device(cursor);
    await caughtUp(back);
    // Its node may hear of it only now.
    await back.push(LIKE);
    expect(likesOf(back)).to.deep.equal([liked]);
    await back.close();

    // In a replay: after a restart no push is kept, so all are read from the log.
    for (const server of new Set([adas, bens])) await server.restart();
    const again = await ben.device(from);
    await caughtUp(again);
    expect(likesOf(again)).to.deep.equal([liked, liked]);
    expect(again.pushed('send message').map(({ message }) => message.message)).to.deep.equal(['hello']);
  }

  it('works live, after a gap, in a replay, in the transcript and in the export', async () => {
    const server = await start('sqlite');
    await tryOut(server, server);
    const { code, out, err } = await parley(
      ['audit', 'replay', '--as', 'transcript'],
      server.settings,
      variant.cli,
    );
    expect({ code, err }).to.deep.equal({ code: 0, err: '' });
    expect(out.match(/newcomer-\S+ likes message [0-9a-f-]{36}$/gm)).to.have.length(2);
    const bundle = join(tempDir(), 'bundle');
    const made = await parley(['audit', 'export', bundle], server.settings, variant.cli);
    expect(made.code, made.err).to.equal(0);
    const verified = await parley(['audit', 'verify', '--bundle', bundle], {}, variant.cli);
    expect(verified.code, verified.out + verified.err).to.equal(0);
    const contract = await (await fetch(`${server.url}/asyncapi.json`)).text();
    expect(contract).to.include('"likeMessage"').and.to.include('"likeMessagePush"');
  });

  it('works between two nodes', async function () {
    const nats = await natsUrl();
    if ((await mongoUrl()) === undefined || nats === undefined) return this.skip();
    const env = {
      MONGO_URL: await freshDatabase(),
      NATS_URL: nats,
      PARTITIONS: '4',
      MASTER_KEY: randomBytes(32).toString('base64'),
    };
    await tryOut(await start('mongodb', env), await start('mongodb', env));
  });
});
