import { InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { engineOf } from '../app/openStores.js';
import { openSource } from '../audit/storedRows.js';
import type { Config } from '../base/config.js';
import type { Engine } from '../projections/store/engine.js';
import { masterKeyOf } from '../vault/masterKey.js';

/** A system that exists, to be read. */
interface Existing {
  readonly engine: Engine;
  readonly masterKey: Buffer;
  readonly partitions: number;
}

/** Where these settings put it, and its master key. Makes nothing: throws if there is no log. */
export async function existing(config: Config): Promise<Existing> {
  const engine = engineOf(config);
  const source = await openSource(engine);
  const { partitions } = source;
  await source.close();
  return { engine, partitions, masterKey: config.MASTER_KEY ?? (await masterKeyOf(config.DATA_DIR)) };
}

/** A partition's number. */
export function numberOf(text: string): number {
  if (!/^\d{1,2}$/.test(text)) throw new InvalidArgumentError('It must be a number from 0 on.');
  return Number(text);
}

const Time = z.iso.datetime({ offset: true });

/** A time from the command line as events have it: ISO 8601 in UTC with milliseconds. */
export function timeOf(text: string): string {
  if (!Time.safeParse(text).success)
    throw new InvalidArgumentError('It must be a time such as 2026-01-31T12:00:00Z.');
  return new Date(text).toISOString();
}

/** A line of the answer, on standard output. */
export const say = (line: string): void => void process.stdout.write(`${line}\n`);
