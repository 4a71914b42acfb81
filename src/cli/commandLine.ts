import { rmSync } from 'node:fs';
import { open, realpath, rename, stat } from 'node:fs/promises';
import { Presets, SingleBar } from 'cli-progress';
import { InvalidArgumentError } from 'commander';
import type { z } from 'zod';
import { engineOf } from '../app/openStores.js';
import type { Write } from '../audit/events/replay.js';
import { openAuditedLog } from '../audit/storedRows.js';
import type { OnProgress, WorkProgress } from '../audit/verify/report.js';
import { fieldErrors } from '../base/schemaErrors.js';
import type { Config } from '../base/settings.js';
import { Id } from '../domain/fields.js';
import type { Engine } from '../projections/store/engine.js';
import { loadMasterKey } from '../vault/masterKey.js';

/** A log that exists, to be read. */
interface ExistingLog {
  readonly engine: Engine;
  readonly masterKey: Buffer;
  readonly partitions: number;
}

/** Finds the log of these settings, and its master key. Creates nothing: throws if there is no log. */
export async function findLog(config: Config): Promise<ExistingLog> {
  const engine = engineOf(config);
  const source = await openAuditedLog(engine);
  const { partitions } = source;
  await source.close();
  const masterKey = config.MASTER_KEY ?? (await loadMasterKey(config.DATA_DIR, async () => false));
  return { engine, partitions, masterKey };
}

export function parsePartition(text: string): number {
  if (!/^\d{1,2}$/.test(text))
    throw new InvalidArgumentError('It must be the number of a partition: 0 or more.');
  return Number(text);
}

/** Makes a parser of an argument from a schema, whose messages begin with `must`. */
export const parseAs =
  <S extends z.ZodType>(schema: S) =>
  (text: string): z.output<S> => {
    const parsed = schema.safeParse(text);
    if (!parsed.success) throw new InvalidArgumentError(`It ${fieldErrors(parsed.error)[0]?.message}.`);
    return parsed.data;
  };

/** Parses an id, in lower case. */
export const parseId = parseAs(Id);

/** Writes to standard output, which has answers only. */
export const printLine = (line: string): void => void process.stdout.write(`${line}\n`);

/** A number and what it counts: `1 event`, `2 events`. */
export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;

const INTERRUPTS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** Runs `remove` when the process ends, interrupted too, unless the returned function was called before. */
export function removeAtExit(remove: () => void): () => void {
  exitWhenInterrupted();
  process.once('exit', remove);
  return () => process.off('exit', remove);
}

/** Lets the process exit by itself at a signal: killed by the signal, it would not remove its files. */
export function exitWhenInterrupted(): void {
  for (const [signal, number] of Object.entries(INTERRUPTS))
    process.once(signal, () => process.exit(128 + number));
}

/**
 * Gives `work` a function that writes to the file, or to standard output without one. A file appears when it is complete:
 * until then its name ends in `.part`. After a failure nothing is left, and a file that was there is as it was.
 */
export async function writeOutput(
  path: string | undefined,
  work: (write: Write) => Promise<unknown>,
): Promise<void> {
  if (path === undefined) {
    await work(writeToStdout);
    return;
  }
  const found = await stat(path).catch(() => undefined);
  const target = found ? await realpath(path) : path;
  // A device or a pipe takes what comes.
  const isDirect = found !== undefined && !found.isFile();
  const part = isDirect ? target : `${target}.part`;
  const file = await open(part, 'w').catch(rethrowFor(path));
  const keep = isDirect ? () => {} : removeAtExit(() => rmSync(part, { force: true }));
  try {
    await work((text) => file.writeFile(text).catch(rethrowFor(path)));
  } finally {
    await file.close();
  }
  if (!isDirect) await rename(part, target).catch(rethrowFor(path));
  keep();
}

const rethrowFor =
  (path: string) =>
  (cause: Error): never => {
    throw new Error(`cannot write ${path}: ${cause.message}`, { cause });
  };

const writeToStdout: Write = (text) =>
  new Promise((resolve, reject) =>
    process.stdout.write(text, (error) => (error ? reject(error) : resolve())),
  );

export interface ProgressBar {
  readonly onProgress?: OnProgress;
  /** Clears it. */
  stop(): void;
}

/** Draws progress on standard error; only on a terminal, so that files stay without it. */
export function startProgressBar(stream: NodeJS.WriteStream = process.stderr): ProgressBar {
  if (!stream.isTTY) return { stop() {} };
  const format = ' {phase} [{bar}] {percentage}% | {speed} a second | {left} left';
  const bar = new SingleBar({ format, stream, clearOnComplete: true, hideCursor: true }, Presets.legacy);
  let phase: string | undefined;
  return {
    onProgress(progress) {
      const { done, total } = progress;
      if (progress.phase !== phase) {
        if (phase !== undefined) bar.stop();
        phase = progress.phase;
        bar.start(total, done, fieldsOf(progress));
      } else bar.update(done, fieldsOf(progress));
    },
    stop: () => bar.stop(),
  };
}

function fieldsOf({ phase, perSecond, remainingMs }: WorkProgress): Record<string, string> {
  const left = remainingMs === undefined ? '?' : duration(Math.ceil(remainingMs / 1000));
  return { phase, speed: Math.round(perSecond).toLocaleString('en'), left };
}

/** Such as `1:02:03`, or `0:07`. */
function duration(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const tail = String(seconds % 60).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${tail}` : `${minutes}:${tail}`;
}
