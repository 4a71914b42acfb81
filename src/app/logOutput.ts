import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import pino, { type Logger } from 'pino';
import { type Config, ConfigError } from '../base/settings.js';

/** Bytes of lines that are kept while they cannot be written. Lines beyond are lost, and counted. */
const MAX_WAITING_BYTES = 1024 * 1024;
const RETRY_LOG_MS = 100;

/** Turns a line of JSON into the text that is written, both with their line break. */
export type LogFormat = (line: string) => string;

/**
 * Writes the lines of a log. Never throws and never waits: while the disk is full or nobody reads, lines are kept for
 * later, up to 1 MiB. The number of lines that did not fit is written when it goes on.
 */
export class LogOutput {
  /** By default, lines are written as they come. */
  format: LogFormat = (line) => line;
  readonly #fd: number;
  #waiting: Buffer[] = [];
  #bytes = 0;
  #lost = 0;
  #isFailing = false;

  constructor(fd: number) {
    this.#fd = openWithoutWaiting(fd);
    process.once('exit', () => this.#flush());
  }

  write(line: string): void {
    const bytes = Buffer.from(this.format(line));
    if (this.#bytes + bytes.length > MAX_WAITING_BYTES) {
      this.#lost++;
      return;
    }
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
    // A try for each line would cost more than the lines.
    if (!this.#isFailing) this.#flush();
  }

  #flush(): void {
    try {
      this.#writeWaiting();
      this.#isFailing = false;
    } catch {
      this.#isFailing = true;
      setTimeout(() => this.#flush(), RETRY_LOG_MS).unref();
    }
  }

  #writeWaiting(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0] ?? this.#takeNote()) {
      const written = writeSync(this.#fd, next);
      this.#bytes -= written;
      if (written < next.length) this.#waiting[0] = next.subarray(written);
      else this.#waiting.shift();
    }
  }

  /** A last line that tells how many were lost; undefined: none were. */
  #takeNote(): Buffer | undefined {
    if (this.#lost === 0) return undefined;
    const msg = `${this.#lost} lines of this log are lost, because it could not be written`;
    const line = JSON.stringify({ level: 'warn', time: new Date().toISOString(), msg });
    const note = Buffer.from(this.format(`${line}\n`));
    this.#lost = 0;
    this.#waiting.push(note);
    this.#bytes += note.length;
    return note;
  }
}

/** A pipe is opened once more, so that a write fails when the pipe is full, and does not stop the process. */
function openWithoutWaiting(fd: number): number {
  try {
    if (!fstatSync(fd).isFIFO()) return fd;
    return openSync(`/dev/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return fd; // It has no reader, or belongs to another user.
  }
}

/** A log to this output, whose failures do not reach those who write to it. Levels are names, and times are ISO 8601. */
export const createLogger = (output: LogOutput, level: Config['LOG_LEVEL']): Logger =>
  pino(
    { level, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    output,
  );

/** Loads the format for people: one line each, with the local time. Throws `ConfigError` if its package is left out. */
export async function loadPrettyFormat(isColored: boolean): Promise<LogFormat> {
  try {
    const { prettyFactory } = await import('pino-pretty');
    return prettyFactory({
      colorize: isColored,
      translateTime: 'SYS:yyyy-mm-dd HH:MM:ss.l',
      ignore: 'pid,hostname',
      singleLine: true,
    });
  } catch (cause) {
    throw new ConfigError(
      'LOG_FORMAT: pretty needs the optional package pino-pretty, which is not installed',
      {
        cause,
      },
    );
  }
}
