import { type Changes, variantBuild } from '../../support/variantBuild.js';

/** The type of event that the next release writes for `MessagesRead`, with the newest `seq` of that moment in it. */
export const NEW_TYPE = 'MessagesRead2';

/** A release as a team would make it: a new type of event with its rule, new read models, and more on the bus. */
const changes: Changes = {
  'src/domain/readMarks.ts': [
    [
      `event('MessagesRead', roomStream, {
  data: z.strictObject({
    roomId: z.string(),
    userId: z.string(),
    upTo: z.int().min(0),
    own: z.literal(true).exactOptional(),
  }),`,
      `event('${NEW_TYPE}', roomStream, {
  data: z.strictObject({
    roomId: z.string(),
    userId: z.string(),
    upTo: z.int(),
    own: z.literal(true).exactOptional(),
    newest: z.int(),
  }),
  replaces: {
    type: 'MessagesRead',
    upcast: (old) => ({ ...(old as Read), newest: (old as Read).upTo }),
    downcast: (data) => {
      const { roomId, userId, upTo, own } = data as Read;
      return { roomId, userId, upTo, ...(own ? { own } : {}) };
    },
  },`,
    ],
    [
      'export const readMessagesRequest = ',
      'interface Read { roomId: string; userId: string; upTo: number; own?: true }\n\nexport const readMessagesRequest = ',
    ],
    ['push: ({ data: { own, ...data } }', 'push: ({ data: { own, newest: _, ...data } }'],
    ['{ roomId, userId: actor, upTo }', '{ roomId, userId: actor, upTo, newest: lastSeq }'],
  ],
  'src/projections/models/chatRows.ts': [
    ["case 'MessagesRead':", `case '${NEW_TYPE}':`],
    ["name: 'chats',\n  version: 1,", "name: 'chats',\n  version: 2,"],
  ],
  'src/writer/decisionBatch.ts': [["event.type !== 'MessagesRead'", `event.type !== '${NEW_TYPE}'`]],
  'src/projections/models/membershipRows.ts': [
    ["case 'MessagesRead':\n    case 'MemberErased':", `case '${NEW_TYPE}':\n    case 'MemberErased':`],
    ["case 'MessagesRead':\n      return {", `case '${NEW_TYPE}':\n      return {`],
  ],
  'src/projections/models/messageRows.ts': [
    ["name: 'messages', version: 1,", "name: 'messages', version: 2,"],
  ],
  'src/projections/models/streamIndex.ts': [["name: 'states', version: 1,", "name: 'states', version: 2,"]],
  'src/cluster/busWire.ts': [['JSON.stringify(header)', "JSON.stringify({ ...header, build: 'next' })"]],
  'src/cluster/bus.ts': [
    [
      "  z.object({ kind: z.literal('rebalance') }),",
      "  z.object({ kind: z.literal('rebalance') }),\n  z.object({ kind: z.literal('mood'), mood: z.string() }),",
    ],
  ],
  'src/gateway/startGateway.ts': [
    [
      "if (tails.length > 0) bus.broadcast({ kind: 'logTails', tails });",
      "if (tails.length > 0) bus.broadcast({ kind: 'logTails', tails });\n    bus.broadcast({ kind: 'mood', mood: 'bright' });",
    ],
  ],
  'src/cluster/forwarding.ts': [
    ['[command, commandId] as const', "[{ ...command, build: 'next' }, commandId] as const"],
    [
      'this.#bus.request(window.owner.node, body,',
      "this.#bus.request(window.owner.node, { ...body, build: 'next' },",
    ],
  ],
};

/**
 * Compiles the sources as the next release would have them, and gives its `app/main.js`; it goes with this process.
 * Throws when a text that it changes is not there once, or what comes of it does not compile.
 */
export const nextBuild = async (): Promise<string> => (await variantBuild(changes)).main;
