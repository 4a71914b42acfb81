import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import { ZodObject, z } from 'zod';
import { commitLine } from '../../src/audit/verify/exportBundle.js';
import { readHead } from '../../src/audit/verify/verify.js';
import { readConfig } from '../../src/base/settings.js';
import { newSigningSecret, signedHeaders } from '../../src/base/webhooks.js';
import { decodeLeaf, encodeEvent } from '../../src/domain/codec.js';
import { type RequestName, requests } from '../../src/domain/contract.js';
import { declaredEvents } from '../../src/domain/features.js';
import { EventAnswer } from '../../src/http/audit/auditEvents.js';
import { asyncApi } from '../../src/http/documents/asyncapi.js';
import { Problem, SignInAnswer } from '../../src/http/schemas.js';
import { buildCommit, emptyHead } from '../../src/log/commit.js';
import { repository } from '../deploy/dockerfile.js';
import { commandLine } from '../support/program.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { allBlocks, type Block, placeOf } from './blocks.js';
import { paste } from './paste.js';
import { runProgram } from './program.js';
import { type Rule, ruleOf } from './rules.js';

/** The part of OpenAPI's description that is looked at. */
interface OpenApi {
  readonly paths: Record<string, Record<string, { readonly parameters?: { readonly name: string }[] }>>;
}

/** A delivery of one event, whose data are those of its type. */
const Delivery = z
  .strictObject({ type: z.string(), timestamp: z.iso.datetime(), data: EventAnswer.shape.event })
  .refine(({ type, timestamp, data }) => type === data.type && timestamp === data.recordedAt)
  .refine(
    ({ type, data }) => declaredEvents.find((one) => one.type === type)?.data.safeParse(data.data).success,
  );

const blocks = allBlocks();
const under = (rule: Rule): readonly Block[] => blocks.filter((block) => ruleOf(block) === rule);
const pasted = new Map<string, string>();
for (const { file, code } of under('pasted')) pasted.set(file, (pasted.get(file) ?? '') + code);

describe('The code in the documentation', function () {
  this.timeout(180_000);
  let server: ServerProcess;
  before(async () => {
    server = await startServer({ engine: 'sqlite' });
  });
  after(() => server?.stop());

  it('has a rule for each block', () => {
    expect(blocks.filter((block) => ruleOf(block) === undefined).map(placeOf)).to.deep.equal([]);
    expect(ruleOf({ file: 'docs/index.md', line: 1, info: 'js', code: 'a()' })).to.equal(undefined);
  });

  for (const [file, script] of pasted)
    it(`of ${file} runs in a shell with the described result`, async () => {
      const said = await paste(script, server);
      expect(said)
        .to.include('"isNewActive":true')
        .and.to.match(/(?:cleo and dan|dan and cleo) have room/);
    });

  it('of docs/client.md is one program that compiles and runs with the described result', async () => {
    const blocks = under('program').map(({ code }) => code);
    const said = (await runProgram(blocks, server)).replaceAll(/\b(ann|bob)-[0-9a-f]{8}\b/g, '$1');
    expect(said.split('\n')).to.include.members([
      'that name is taken',
      'connected as ann',
      'stored as number 1; Bob got: Hello, Bob',
      'missed, and got: You were away',
      '1 message waits',
      '0 messages wait',
      'stored as number 4, and 0 kept',
      'edit 1: Hello, Bob!',
      'Hello, Bob! / You were away / Written in a tunnel / Kept over a reload until it was sent / Hello, Ann',
      '2 reactions, being sent: true',
      '0 chats, 1 archived',
      'may be invited by contacts',
      'now called Bob B.',
      '2 members, 0 refused, I am owner',
      'refused: not_member',
      'friends are not found any more',
    ]);
    expect(said).to.match(/^ann: 4 unread, (?:online|unknown)$/m);
  });

  for (const block of under('example'))
    it(`at ${placeOf(block)} is the file that it names`, () => {
      const file = block.info.split(' ')[1] ?? '';
      expect(block.code).to.equal(readFileSync(`${repository}/${file}`, 'utf8'));
    });

  for (const block of under('json'))
    it(`at ${placeOf(block)} is JSON of its named shape`, () => {
      const json: unknown = JSON.parse(block.code);
      const name = block.info.split(' ')[1] ?? '';
      const answers = { Problem, SignInAnswer, Delivery };
      if (name in answers) {
        // The line above has checked the name.
        const result = answers[name as keyof typeof answers].safeParse(json);
        expect(result.success, String(result.error)).to.equal(true);
      } else expect(frameErrors(name, json)).to.deep.equal([]);
    });

  for (const block of under('talk'))
    it(`at ${placeOf(block)} contains only requests of the contract`, () => {
      const lines = block.code
        .trim()
        .split('\n')
        .filter((line) => !line.startsWith('npm run talk'));
      for (const line of lines) {
        const [, event = '', json = ''] = /^([a-z ]+) (\{.*\})$/.exec(line) ?? [];
        expect(requests, line).to.have.property(event);
        const data: unknown = JSON.parse(json.replaceAll(/<[^>]+>/g, '0192f0c4-9c1e-7c3a-8f7e-1f2a3b4c5d6e'));
        // The line above has checked the property.
        const result = requests[event as RequestName].data.safeParse(data);
        expect(result.success, `${line}: ${result.error}`).to.equal(true);
      }
    });

  for (const { file, line, info, code } of under('format'))
    it(`at ${file}:${line} shows a ${info.split(' ')[1]} as the code writes it`, () => {
      const text = code.trim();
      const commit = buildCommit({
        head: emptyHead(3),
        id: 'i',
        epoch: 7,
        recordedAt: 't',
        leaves: ['[1]'],
      }).commit;
      if (info === 'text leaf') expect(encodeEvent(decodeLeaf(text, 0, 0))).to.equal(text);
      else if (info === 'text commits')
        expect(commitLine({ partition: 3, ...JSON.parse(text) })).to.equal(text);
      else if (info === 'text commit') {
        const previous = createHash('sha256').digest('base64');
        const values: Readonly<Record<string, unknown>> = { ...commit, frontier: null, previous };
        const fields = text.slice(1, -1).split(',').slice(1);
        const first = JSON.stringify(['parley/commit/1', ...fields.map((field) => values[field])]);
        const hash = createHash('sha256').update([first, ...commit.leaves].join('\n'));
        expect(hash.digest('base64')).to.equal(commit.hash);
      } else {
        const [origin, , , extension] = text.split('\n');
        const note = `${origin?.replace('<LOG_ORIGIN>/<partition>', 'parley/3')}\n1\n${commit.root}\n`;
        const line = extension?.replace('<position>', '1').replace(/<hash .*>/, commit.hash);
        const found = readHead(`${note}${line}\n\n— parley/3 AAAA\n`);
        expect(found).to.deep.include({ size: 1, partition: 3, commit: { position: 1, hash: commit.hash } });
      }
    });

  it('of docs/log-format.md stands beside a table with each type of event and each of its fields', () => {
    const lines = readFileSync(`${repository}/docs/log-format.md`, 'utf8').split('\n');
    const rows = lines.filter((line) => line.startsWith('| `'));
    for (const { type, data } of declaredEvents) {
      const row = rows.find((line) => line.split('|')[1]?.includes(`\`${type}\``)) ?? '';
      if (!(data instanceof ZodObject)) throw new Error(`the data of ${type} is no object`);
      for (const field of Object.keys(data.shape)) expect(row, `${type}.${field}`).to.include(`\`${field}\``);
    }
  });

  for (const block of under('delivery'))
    it(`at ${placeOf(block)} has the headers that are sent, and a body of JSON`, () => {
      const [head = '', body = ''] = block.code.trim().split('\n\n');
      const sent = signedHeaders({ id: 'evt_1', body }, [newSigningSecret()], new Date());
      for (const line of head.split('\n')) expect(sent).to.have.property(line.split(':')[0] ?? '');
      expect(() => JSON.parse(body.replace(', …', ''))).not.to.throw();
    });

  for (const block of under('request'))
    it(`at ${placeOf(block)} is in the documents, with its parameters`, async () => {
      const [method = '', target = ''] = block.code.trim().split(' ');
      const { pathname, searchParams } = new URL(target, server.url);
      const { paths } = (await (await fetch(`${server.url}/openapi.json`)).json()) as OpenApi;
      const parameters = paths[pathname]?.[method.toLowerCase()]?.parameters ?? [];
      expect(parameters.map(({ name }) => name)).to.include.members([...searchParams.keys()]);
    });

  for (const block of under('settings'))
    it(`at ${placeOf(block)} is taken by a server`, () => {
      const env = Object.fromEntries(
        block.code
          .trim()
          .split('\n')
          .map((line) => line.split('=')),
      );
      expect(() => readConfig({ DATA_DIR: 'data', ...env })).not.to.throw();
      const [name = ''] = Object.keys(env);
      expect(() => readConfig({ DATA_DIR: 'data', [name]: 'wrong' })).to.throw(name);
    });

  for (const block of under('output'))
    it(`at ${placeOf(block)} is the output of the command, except for the numbers`, () => {
      const env = { PATH: process.env.PATH, DATA_DIR: server.dataDir };
      const { stdout } = spawnSync(process.execPath, [commandLine, 'audit', 'check-log'], {
        env,
        encoding: 'utf8',
      });
      expect(shapeOf(stdout)).to.equal(shapeOf(block.code));
    });

  for (const block of under('script'))
    it(`at ${placeOf(block)} is valid JavaScript`, () => {
      expect(() => new Script(block.code)).not.to.throw();
    });

  for (const block of under('commands'))
    it(`at ${placeOf(block)} is valid shell with existing scripts, verbs and options`, () => {
      const { status, stderr } = spawnSync('bash', ['-n'], { input: block.code, encoding: 'utf8' });
      expect([status, stderr]).to.deep.equal([0, '']);
      for (const [, script = ''] of block.code.matchAll(/npm run (?:--silent )?([a-z-]+)/g))
        expect(scripts, script).to.have.property(script);
      for (const [line, verbs = '', options = ''] of block.code.matchAll(
        /^ *npx parley((?: [a-z]+)*)(.*)$/gm,
      )) {
        const help = helpOf(verbs);
        for (const [option] of (options.split('#')[0] ?? '').matchAll(/--[a-z-]+/g))
          expect(help, line).to.include(option);
      }
    });
});

const { scripts } = JSON.parse(readFileSync(`${repository}/package.json`, 'utf8'));

/** What was read, by the verbs. */
const helps = new Map<string, string>();

/** Returns the help of a command that begins with these verbs. */
function helpOf(words: string): string {
  const verbs = words.trim().split(' ').slice(0, 2);
  const known = helps.get(verbs.join(' '));
  if (known !== undefined) return known;
  const said = spawnSync(process.execPath, [commandLine, ...verbs, '--help'], {
    encoding: 'utf8',
  });
  expect(said.status, `parley${words}: ${said.stderr}`).to.equal(0);
  expect(said.stdout, words).to.match(/^Usage: parley/);
  helps.set(verbs.join(' '), said.stdout);
  return said.stdout;
}

const shapeOf = (output: string): string =>
  output
    .replaceAll(/hash \S+/g, 'hash …')
    .replaceAll(/log [0-9a-f-]{36}/g, 'log …')
    .replaceAll(/\d{4}-\d\d-\S+Z/g, 'time')
    .replaceAll(/\d+/g, 'n');

function frameErrors(name: string, json: unknown): unknown[] {
  // This project defines the shape of the document.
  const { components } = asyncApi() as { components: { messages: Record<string, { payload: object }> } };
  expect(components.messages).to.have.property(name);
  const ajv = new Ajv({ strict: false, validateFormats: false });
  const check = ajv.compile({ components, ...components.messages[name]?.payload });
  return check(json) ? [] : (check.errors ?? []);
}

describe('npm run talk', () => {
  it('takes a token that begins with a hyphen, as one of 64 does, also from the environment', () => {
    const talk = fileURLToPath(new URL('../../demo/talk.js', import.meta.url));
    const PARLEY_URL = 'ws://127.0.0.1:9';
    for (const [args, TOKEN] of [
      [['-4token'], ''],
      [[], '-4token'],
    ] as const) {
      const { stdout } = spawnSync(process.execPath, [talk, ...args], {
        encoding: 'utf8',
        timeout: 20_000,
        env: { ...process.env, PARLEY_URL, ...(TOKEN === '' ? {} : { TOKEN }) },
      });
      expect(stdout).to.contain(`Connection to ${PARLEY_URL} failed`);
    }
    const { status, stdout } = spawnSync(process.execPath, [talk, '--help'], { encoding: 'utf8' });
    expect([status, stdout.slice(0, 6)]).to.deep.equal([2, 'Usage:']);
  }).timeout(120_000);
});
