import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The repository's directory: tests run compiled, in a directory below it, however deep. */
export const repository = fileURLToPath(import.meta.url).replace(/\/dist\/.*$/, '');

/** What the tests need of the Dockerfile: the last stage's, and what is copied from the repository. */
export interface Dockerfile {
  /** Sources of `COPY` from the repository, of all stages. */
  readonly copied: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly healthcheck: readonly string[];
  readonly cmd: readonly string[];
}

/** Reads the Dockerfile; throws where a command is not in the exec form (a JSON array). */
export function readDockerfile(): Dockerfile {
  const text = readFileSync(`${repository}/Dockerfile`, 'utf8').replace(/\\\n/g, ' ');
  const lines = text.split('\n');
  const stage = text.slice(text.lastIndexOf('\nFROM ')).split('\n');
  const rest = (keyword: string, from: readonly string[]): string[] =>
    from.flatMap((line) => (line.startsWith(`${keyword} `) ? [line.slice(keyword.length + 1).trim()] : []));
  const command = (text = ''): string[] => JSON.parse(text.slice(text.indexOf('[')));
  const copied = rest('COPY', lines)
    .filter((copy) => !copy.startsWith('--from'))
    .flatMap((copy) => copy.split(/ +/).slice(0, -1));
  const env = rest('ENV', stage).flatMap((pairs) => pairs.split(/ +/).map((pair) => pair.split('=')));
  return {
    copied,
    env: Object.fromEntries(env),
    user: rest('USER', stage).at(-1) ?? 'root',
    healthcheck: command(
      rest(
        'HEALTHCHECK',
        lines.map((line) => line.trim()),
      ).at(-1),
    ),
    cmd: command(rest('CMD', stage).at(-1)),
  };
}
