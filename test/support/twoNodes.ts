import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { streamOf } from '../../src/domain/ids.js';
import { partitionOf } from '../../src/log/log.js';
import { eventually } from './eventually.js';
import { freshDatabase } from './mongo.js';
import { natsUrl } from './nats.js';
import { ServerProcess } from './server.js';

const PARTITIONS = 8;

/** Two nodes on one database and one bus, each of which is asked, killed and started by itself. */
export class TwoNodes {
  private constructor(
    readonly first: ServerProcess,
    readonly second: ServerProcess,
    readonly env: Readonly<Record<string, string>>,
  ) {}

  /** On data of their own; they are to be started. `mains`: the `main.js` of another build, for each. */
  static async fresh(mains: readonly (string | undefined)[] = []): Promise<TwoNodes> {
    const shared = {
      MONGO_URL: await freshDatabase(),
      NATS_URL: (await natsUrl()) ?? '',
      MASTER_KEY: randomBytes(32).toString('base64'),
      PARTITIONS: String(PARTITIONS),
      RATE_LIMIT: 'off',
    };
    const node = (main: string | undefined) =>
      new ServerProcess({ engine: 'mongodb', env: shared, ...(main === undefined ? {} : { main }) });
    return new TwoNodes(node(mains[0]), node(mains[1]), shared);
  }

  get both(): readonly [ServerProcess, ServerProcess] {
    return [this.first, this.second];
  }

  /** The database that both share. */
  get url(): string {
    return this.env.MONGO_URL ?? '';
  }

  /** Resolves when both listen, and each owns a part of the log. `envs`: more variables for each. */
  async start(envs: readonly Readonly<Record<string, string>>[] = []): Promise<void> {
    for (const [i, node] of this.both.entries()) await node.start(envs[i]);
    for (const node of this.both) await this.untilItOwns(node);
  }

  async stop(): Promise<void> {
    await Promise.all(this.both.map((node) => node.stop().catch(() => undefined)));
  }

  /** Resolves when the node owns a part of the log. */
  untilItOwns(node: ServerProcess): Promise<void> {
    return eventually('the node owns partitions', async () =>
      [...(await this.#owners()).values()].includes(idOf(node)),
    );
  }

  /** An id for a group whose partition this node owns. */
  async groupIdOn(node: ServerProcess): Promise<string> {
    const owners = await this.#owners();
    for (;;) {
      const roomId = randomUUID();
      if (owners.get(partitionIn(roomId)) === idOf(node)) return roomId;
    }
  }

  async #owners(): Promise<Map<number, string | null>> {
    const client = await MongoClient.connect(this.url);
    const leases = await client
      .db()
      .collection('leases')
      .findOne()
      .finally(() => client.close());
    const nodeOf = (partition: number): string | null => leases?.[`p${partition}`]?.node ?? null;
    return new Map(Array.from({ length: PARTITIONS }, (_, partition) => [partition, nodeOf(partition)]));
  }
}

const partitionIn = (roomId: string): number => partitionOf(streamOf('room', roomId), PARTITIONS);

/** The id of the node's present start, as it keeps it in its data directory. */
function idOf({ dataDir }: ServerProcess): string {
  return (JSON.parse(readFileSync(join(dataDir, 'node'), 'utf8')) as { node: string }).node;
}
