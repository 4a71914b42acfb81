import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from './eventually.js';
import { tempDir } from './tempDir.js';

const probe = new URL('./heapProbe.js', import.meta.url).href;
const AWAKE_MS = 3_000;
const STRINGS = '"strings":[';

/** The heaps of one process: what is alive in each of its threads. */
export class Heap {
  readonly #directory = tempDir();
  #asked = 0;

  /** The process must be started with these. */
  get env(): Readonly<Record<string, string>> {
    return { HEAP_PROBE: this.#directory, NODE_OPTIONS: `--import ${probe}` };
  }

  /** Forgets the threads of a start that has ended. */
  forget(): void {
    for (const name of readdirSync(this.#directory)) rmSync(join(this.#directory, name));
  }

  /** The names of those values that any thread holds, as a string, within one, or as bytes. */
  async find(values: Readonly<Record<string, string | Buffer>>): Promise<string[]> {
    const asked = String(++this.#asked);
    const file = (name: string) => join(this.#directory, name);
    writeFileSync(file('ask'), asked);
    // Threads that wait for another's bytes do not look. The main thread does, sooner or later.
    await eventually('the main thread looks', () => isAwake(file('thread-0.alive')));
    const threads = readdirSync(this.#directory)
      .filter((name) => /^thread-\d+$/.test(name))
      .filter((name) => isAwake(file(`${name}.alive`)));
    await eventually('every thread has written its heap', () =>
      threads.every((name) => {
        const done = file(`${name}.done`);
        return existsSync(done) && readFileSync(done, 'utf8') === asked;
      }),
    );
    const found = new Set<string>();
    for (const thread of threads) {
      const strings = stringsIn(file(`${thread}.strings`));
      const bytes = readFileSync(file(`${thread}.bytes`));
      for (const [name, value] of Object.entries(values)) {
        if (found.has(name)) continue;
        const [text, wanted] =
          typeof value === 'string' ? [value, Buffer.from(value)] : [value.toString('latin1'), value];
        // The snapshot shows NUL as a space.
        const shown = text.replaceAll('\0', ' ');
        if (bytes.includes(wanted) || strings.some((one) => one.includes(shown))) found.add(name);
      }
    }
    return [...found];
  }
}

/** Whether the thread has looked lately. */
const isAwake = (alive: string): boolean =>
  existsSync(alive) && Date.now() - Number(readFileSync(alive, 'utf8')) < AWAKE_MS;

/** All strings of a heap snapshot, which are its last member. */
function stringsIn(file: string): string[] {
  const snapshot = readFileSync(file, 'utf8');
  const from = snapshot.lastIndexOf(`\n${STRINGS}`);
  if (from < 0) throw new Error(`${file} is no heap snapshot`);
  const end = snapshot.lastIndexOf('}');
  return JSON.parse(snapshot.slice(from + STRINGS.length, end)) as string[]; // The format of snapshots.
}
