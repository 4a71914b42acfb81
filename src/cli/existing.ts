import { openSource } from '../audit/source.js';
import type { Config } from '../config.js';
import { placeOf } from '../engine.js';
import type { Engine } from '../projections/engine.js';
import { masterKeyOf } from '../vault/masterKey.js';

/** A system that exists, to be read. */
interface Existing {
  readonly engine: Engine;
  readonly masterKey: Buffer;
  readonly partitions: number;
}

/** Where these settings put it, and its master key. Makes nothing: throws if there is no log. */
export async function existing(config: Config): Promise<Existing> {
  const engine = placeOf(config);
  const source = await openSource(engine);
  const { partitions } = source;
  await source.close();
  return { engine, partitions, masterKey: config.MASTER_KEY ?? (await masterKeyOf(config.DATA_DIR)) };
}
