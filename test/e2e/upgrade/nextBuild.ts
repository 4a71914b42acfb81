import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** What one release changes in one file: each text, which is there once, becomes another. */
type Changes = Readonly<Record<string, readonly (readonly [before: string, after: string])[]>>;

/** The type of event that the next release writes for `MessagesRead`, with the newest `seq` of that moment in it. */
export const NEW_TYPE = 'MessagesRead2';

/** A release as a team would make it: a new type of event with its rule, new read models, and more on the bus. */
const changes: Changes = {
  'src/domain/readMarks.ts': [
    [
      `event('MessagesRead', roomStream, {
  data: z.strictObject({ roomId: z.string(), userId: z.string(), upTo: z.int().min(0) }),`,
      `event('${NEW_TYPE}', roomStream, {
  data: z.strictObject({ roomId: z.string(), userId: z.string(), upTo: z.int(), newest: z.int() }),
  replaces: {
    type: 'MessagesRead',
    upcast: (old) => ({ ...(old as Read), newest: (old as Read).upTo }),
    downcast: (data) => {
      const { roomId, userId, upTo } = data as Read;
      return { roomId, userId, upTo };
    },
  },`,
    ],
    [
      'export const readMessages = ',
      'interface Read { roomId: string; userId: string; upTo: number }\n\nexport const readMessages = ',
    ],
    ['data: () => data,', 'data: () => ({ roomId: data.roomId, userId: data.userId, upTo: data.upTo }),'],
    ['{ roomId, userId: actor, upTo }, members', '{ roomId, userId: actor, upTo, newest: lastSeq }, members'],
  ],
  'src/projections/models/chats.ts': [
    ["case 'MessagesRead':", `case '${NEW_TYPE}':`],
    ["name: 'chats',\n  version: 1,", "name: 'chats',\n  version: 2,"],
  ],
  'src/projections/models/messages.ts': [
    ["name: 'messages',\n  version: 2,", "name: 'messages',\n  version: 3,"],
  ],
  'src/projections/models/streamIndex.ts': [["name: 'states', version: 1,", "name: 'states', version: 2,"]],
  'src/cluster/busWire.ts': [['JSON.stringify(header)', "JSON.stringify({ ...header, build: 'next' })"]],
  'src/cluster/bus.ts': [
    [
      "  z.object({ kind: z.literal('owners') }),",
      "  z.object({ kind: z.literal('owners') }),\n  z.object({ kind: z.literal('mood'), mood: z.string() }),",
    ],
  ],
  'src/gateway/startGateway.ts': [
    [
      "if (tails.length > 0) bus.tell({ kind: 'tails', tails });",
      "if (tails.length > 0) bus.tell({ kind: 'tails', tails });\n    bus.tell({ kind: 'mood', mood: 'bright' });",
    ],
  ],
  'src/cluster/forwarding.ts': [
    ['[command, commandId] as const', "[{ ...command, build: 'next' }, commandId] as const"],
    [
      'this.#bus.request(voyage.owner.node, body,',
      "this.#bus.request(voyage.owner.node, { ...body, build: 'next' },",
    ],
  ],
};

const directories = new Set<string>();
process.once('exit', () => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

/**
 * Compiles the sources as the next release would have them, and gives its `app/main.js`; it goes with this process. Throws
 * when a text that it changes is not there once, or what comes of it does not compile.
 */
export async function nextBuild(): Promise<string> {
  const root = rootOf(fileURLToPath(import.meta.url));
  // Inside the tree, so that it finds the packages; in a place that nothing else looks at.
  const directory = mkdtempSync(join(root, 'dist', 'next-'));
  directories.add(directory);
  cpSync(join(root, 'src'), join(directory, 'src'), { recursive: true });
  for (const [file, pairs] of Object.entries(changes)) change(join(directory, file), pairs);
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: { rootDir: '.', outDir: 'out', incremental: false, declaration: false },
    include: ['src'],
  };
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(config));
  const tsc = join(root, 'node_modules', '.bin', 'tsc');
  await promisify(execFile)(tsc, ['-p', directory]).catch((error: { stdout?: string }) => {
    throw new Error(`the next build does not compile:\n${error.stdout}`, { cause: error });
  });
  return join(directory, 'out', 'src', 'app', 'main.js');
}

function change(file: string, pairs: Changes[string] = []): void {
  let text = readFileSync(file, 'utf8');
  for (const [before, after] of pairs) {
    const parts = text.split(before);
    if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times: ${before}`);
    text = parts.join(after);
  }
  writeFileSync(file, text);
}

function rootOf(file: string): string {
  const directory = dirname(file);
  if (directory === file) throw new Error('these tests are not in a checkout');
  return existsSync(join(directory, 'package.json')) ? directory : rootOf(directory);
}
