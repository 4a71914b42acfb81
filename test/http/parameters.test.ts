import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'chai';
import { ZodObject, type ZodType } from 'zod';
import { Proofs } from '../../src/audit/proof/proofs.js';
import { ParleyError } from '../../src/base/errors.js';
import { requests, validate } from '../../src/domain/contract.js';
import { openApi } from '../../src/http/documents/documents.js';
import { paths } from '../../src/http/documents/routes.js';
import { hostIdIn } from '../../src/http/server/hostRequests.js';

const id = '1d0c8a52-6f1e-4b4e-9c57-0d8c1a2b3c4d';
/** Texts that some parameter takes, and others next to them. */
const probes = [
  ...['', ' ', '0', '1', '-1', '2', '50', '51', '200', '201', '1000', '1e3', '1.5', '+1'],
  ...['999999', '1000000', '999999999999999', '9007199254740991', '9007199254740992', '99999999999999999'],
  ...[
    'true',
    'false',
    'True',
    'asc',
    'desc',
    'ASC',
    'open',
    'closed',
    'messages',
    'Messages',
    'Open',
    'MessageSent',
    'messagesent',
    'Unknown',
  ],
  ...[id, id.toUpperCase(), id.slice(1), `${id}0`, 'system', 'SYSTEM', 'somebody'],
  ...[
    `room:${id}`,
    `user:${id.toUpperCase()}`,
    `policy:${id}`,
    `Room:${id}`,
    'room:1',
    `other:${id}`,
    `room:${id}/x`,
  ],
  ...['2026-01-31T12:00:00Z', '2026-01-31T12:00:00.123456789Z', '2026-01-31T12:00:00.1234567890Z'],
  ...['2026-01-31T12:00:00+02:00', '2026-02-30T12:00:00Z', '2026-01-31', 'yesterday'],
  ...[
    '0s',
    '30s',
    '30.5s',
    '31s',
    '50ms',
    '30000ms',
    '30001ms',
    '1m',
    'MessageSent,MessageEdited',
    'MessageSent,',
  ],
  ...['start', 'now'],
  ...[32, 33, 256, 257, 4096, 4097, 12_288, 12_289].map((n) => 'x'.repeat(n)),
  ...[32, 33].map((n) => '😀'.repeat(n)),
];

const isTime = (text: string): boolean => {
  const [, day = 0] = /^\d{4}-\d\d-(\d\d)T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/.exec(text) ?? [];
  return new Date(`${text.slice(0, 10)}T00:00:00Z`).getUTCDate() === Number(day);
};
const ajv = new Ajv2020({ strict: false });
ajv.addFormat('date-time', isTime);
ajv.addFormat('uuid', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i);

/** Whether a client that goes by the document may send this text: as it is, or as the number that it is. */
function isDescribed(schema: object, text: string): boolean {
  const takes = ajv.compile(schema);
  return takes(text) || (/^-?(0|[1-9]\d*)$/.test(text) && takes(Number(text)));
}

interface Parameter {
  readonly in: string;
  readonly name: string;
  readonly required: boolean;
  readonly schema: object & { readonly examples?: readonly string[] };
}
const operations = Object.entries(openApi().paths as Record<string, Record<string, unknown>>).flatMap(
  ([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const { parameters, description } = operation as { parameters: Parameter[]; description: string };
      return { path, method, parameters, description };
    }),
);

describe('the parameters of REST', () => {
  for (const { path, method, parameters } of operations) {
    const query = Object.entries(paths[path] ?? {}).find(([name]) => name === method)?.[1]?.query;
    for (const { in: place, name, schema } of parameters.filter((parameter) => parameter.in === 'query'))
      it(`${name} of ${method.toUpperCase()} ${path} takes in the ${place} what the document says, and nothing else`, () => {
        const takes = probes.filter((text) => query?.shape[name].safeParse(text).success);
        expect(probes.filter((text) => isDescribed(schema, text))).to.deep.equal(takes);
        if (name !== 'revision' && name !== 'from' && name !== 'q')
          expect(takes.length, 'the probes meet it').to.be.within(1, probes.length - 1);
      });
  }

  it('are required if the server refuses a request without them, and no others', () => {
    for (const { path, method, parameters } of operations) {
      const query = Object.entries(paths[path] ?? {}).find(([name]) => name === method)?.[1]?.query;
      const issues = query?.safeParse({}).error?.issues ?? [];
      const refused = issues
        .filter(({ code }) => code === 'invalid_type')
        .map((issue) => issue.path.join('.'));
      const required = parameters.filter((one) => one.in === 'query' && one.required).map(({ name }) => name);
      expect(required, `${method} ${path}`).to.deep.equal(refused);
    }
  });

  it('are refused in plain words of ours, as are the fields of bodies and of requests over the socket', () => {
    const values: unknown[] = [...[undefined, null, true, 7, 1.5, 1e300, -1, {}, [], [7], [{}]], ...probes];
    const seen = new Set<string>();
    const look = (schema: ZodType, value: unknown): void => {
      try {
        validate(schema, value);
      } catch (error) {
        if (!(error instanceof ParleyError)) throw error;
        for (const { message } of error.details.fields ?? []) seen.add(message);
      }
    };
    const schemas = Object.values(paths).flatMap((methods) =>
      Object.values(methods).flatMap(({ query, body }) => [query ?? [], body ?? []].flat()),
    );
    for (const schema of [...schemas, ...Object.values(requests).map(({ data }) => data)]) {
      for (const value of values) look(schema, value);
      if (!(schema instanceof ZodObject)) continue;
      const names = Object.keys(schema.shape);
      for (const name of names) for (const value of values) look(schema, { [name]: value });
    }
    const foreign = [...seen].filter(
      (text) => !/^(?:must|is|has) /.test(text) || /expected|received|invalid/i.test(text),
    );
    expect(foreign).to.deep.equal([]);
    expect([...seen]).to.include.members([
      'is missing',
      'must be a string',
      'must be a list',
      'must be true or false',
      'must be a whole number',
      'must have at least 2 entries',
      'must be at least 1',
      'must be one of members, admins',
    ]);
  });

  it('have examples that the server takes', async () => {
    const asked = new Error('the head was asked for');
    // Whoever gets as far as the head has given the path of a tile.
    const heads = { headCovering: () => Promise.reject(asked) };
    const proofs = new Proofs({ heads, merkleReader: {} } as unknown as ConstructorParameters<
      typeof Proofs
    >[0]);
    const examples = operations.flatMap(({ parameters }) =>
      parameters.flatMap(({ name, schema }) => (schema.examples ?? []).map((example) => ({ name, example }))),
    );
    expect(examples.length).to.be.at.least(3);
    for (const { name, example } of [...examples, { name: 'tile', example: '0/1' }]) {
      if (name === 'id' || name === 'otherId') {
        expect(hostIdIn(example), example).to.be.a('string');
        continue;
      }
      expect(name, 'only of tiles and host ids so far').to.equal('tile');
      const outcome = await proofs.tile(0, example).catch((error: unknown) => error);
      expect(outcome === asked, example).to.equal(example !== '0/1');
    }
  });

  it('are described, and so is each operation', () => {
    for (const { path, method, parameters, description } of operations) {
      expect(description, `${method} ${path}`).to.match(/^[A-Z].*\.$/s);
      for (const parameter of parameters)
        expect(parameter, `${parameter.name} of ${method} ${path}`)
          .to.have.property('description')
          .that.matches(/\w/);
    }
  });
});
