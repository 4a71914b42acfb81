import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { repository } from '../deploy/dockerfile.js';
import type { ServerProcess } from '../support/server.js';
import { documented } from './paste.js';

const built = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Compiles blocks of TypeScript as one module with the compiler options of this project, and runs it against a server.
 * The module imports the client under test. Resolves with its output.
 */
export async function runProgram(blocks: readonly string[], server: ServerProcess): Promise<string> {
  // In the build folder, the module finds `ws` and the types of Node.
  const folder = mkdtempSync(join(built, 'example-'));
  try {
    const source = blocks
      .join('\n')
      .replaceAll(documented, server.url)
      .replaceAll(
        /'@parley\/client(\/browser)?'/g,
        (_, browser) => `'../packages/client/src/${browser ? 'browser' : 'index'}.js'`,
      );
    const compilerOptions = {
      rootDir: '.',
      outDir: '.',
      incremental: false,
      declaration: false,
      types: ['node'],
    };
    const config = {
      extends: `${repository}/tsconfig.json`,
      compilerOptions,
      include: [],
      files: ['example.ts'],
    };
    writeFileSync(join(folder, 'example.ts'), source);
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
    await run(`${repository}/node_modules/.bin/tsc`, '-p', folder);
    return await run(process.execPath, '--enable-source-maps', join(folder, 'example.js'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function run(command: string, ...args: readonly string[]): Promise<string> {
  // The timeout ends a program that hangs, so that the test shows its output.
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  expect(code, `${out}\n${err}`).to.equal(0);
  return out;
}
