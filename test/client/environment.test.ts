import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { tempDir } from '../support/tempDir.js';

/** Compiled, this file is in dist/<somewhere>/test/client or dist/test/client: the sources are beside dist. */
const root = fileURLToPath(import.meta.url).split('/dist/')[0] ?? '';
const tsc = join(root, 'node_modules/typescript/bin/tsc');

/** All of its surroundings that the core may use: what browsers, Node and React Native have in common. */
const surroundings = `
declare function setTimeout(run: () => void, ms: number): unknown;
declare function clearTimeout(timer: unknown): void;
declare function atob(text: string): string;
interface AbortSignal {
  readonly aborted: boolean;
}
declare class AbortController {
  readonly signal: AbortSignal;
  abort(): void;
}
declare function fetch(
  url: string,
  init: { method: string; headers: Record<string, string>; body?: string; signal: AbortSignal },
): Promise<{ ok: boolean; status: number; text(): Promise<string> }>;
`;

/** What the compiler says of these files, with no types but ECMAScript's and the surroundings. */
function compile(dir: string, ...files: string[]): Promise<string> {
  writeFileSync(join(dir, 'surroundings.d.ts'), surroundings);
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: {
      ...{ types: [], lib: ['ES2023'], noEmit: true, incremental: false, rootDir: '/' },
      ...{ declaration: false, sourceMap: false },
    },
    include: [],
    files: ['surroundings.d.ts', ...files],
  };
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify(config));
  return new Promise((resolve) => {
    execFile(process.execPath, [tsc, '-p', dir], (_, output) => resolve(output));
  });
}

describe('the core of the client', () => {
  it('needs nothing of a browser or of Node but timers, fetch, atob and AbortController', async () => {
    expect(await compile(tempDir(), join(root, 'packages/client/src/index.ts'))).to.equal('');
  });

  it('does not compile with anything else', async () => {
    const dir = tempDir();
    const used = ['document', 'process', 'Buffer', 'console', 'localStorage', 'WebSocket', 'queueMicrotask'];
    writeFileSync(join(dir, 'stray.ts'), used.map((name) => `void ${name};\n`).join(''));
    const said = await compile(dir, 'stray.ts', join(root, 'packages/client/src/index.ts'));
    for (const name of used) expect(said).to.match(new RegExp(`Cannot find name '${name}'`));
  });
});
