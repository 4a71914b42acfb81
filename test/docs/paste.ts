import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { commandLine } from '../support/program.js';
import type { ServerProcess } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';

const built = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** The address in the documents. The test server has another one. */
export const documented = 'http://127.0.0.1:3000';

/** Shell functions that run the compiled files in place of npx and npm. */
const prelude = `
npx() { shift; node '${commandLine}' "$@"; }
npm() { node '${built('demo/talk.js')}' "\${@: -1}"; }
`;

/** Runs the commands of a document in a new directory against a server. Resolves with their output. */
export async function paste(script: string, server: ServerProcess): Promise<string> {
  const child = spawn(
    'bash',
    ['-euo', 'pipefail', '-c', prelude + script.replaceAll(documented, server.url)],
    {
      cwd: tempDir(),
      env: {
        ...{ PATH: process.env.PATH, DATA_DIR: server.dataDir, BCRYPT_COST: '4' },
        PARLEY_URL: server.wsUrl,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  expect(code, `${out}\n${err}`).to.equal(0);
  return out;
}
