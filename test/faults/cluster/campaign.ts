import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster, type ClusterOptions } from './cluster.js';
import { playRound, type Round } from './round.js';

/** A round found violations, or could not be played to its end. */
export class RoundFailed extends Error {
  override readonly name = 'RoundFailed';
}

/** Rounds on one cluster, for as long as it comes through them whole; else on another. */
export class Campaign {
  #cluster: Cluster | undefined;

  /** @param options gives what a new cluster is made of, its database too. */
  constructor(private readonly options: () => Promise<ClusterOptions>) {}

  /** Plays one round. Rejects with `RoundFailed`, which says what was found, and where the history is. */
  async play(seed: number): Promise<Round> {
    const cluster = await this.cluster();
    let round: Round;
    try {
      round = await playRound(cluster, seed);
    } catch (cause) {
      const where = keep(seed, cluster);
      await this.stop();
      throw new RoundFailed(`the round of seed ${seed} was not played to its end; logs in ${where}`, {
        cause,
      });
    }
    if (round.violations.length === 0) return round;
    const where = keep(seed, cluster, round);
    await this.stop();
    throw new RoundFailed(
      [
        `seed ${seed} (${round.faults.join('; ')}): history and logs in ${where}`,
        ...round.violations.map(({ rule, what }) => `  ${rule}: ${what}`),
      ].join('\n'),
    );
  }

  /** The cluster of the next round, started if there is none. */
  async cluster(): Promise<Cluster> {
    this.#cluster ??= await Cluster.start(await this.options());
    return this.#cluster;
  }

  async stop(): Promise<void> {
    const cluster = this.#cluster;
    this.#cluster = undefined;
    await cluster?.stop();
  }
}

/** Keeps what is needed to understand a failure; says where. */
function keep(seed: number, { nodes }: Cluster, round?: Round): string {
  const directory = mkdtempSync(join(tmpdir(), `parley-faults-${seed}-`));
  for (const { name, log } of nodes) writeFileSync(join(directory, `${name}.log`), log);
  if (round) {
    round.history.write(join(directory, 'history.jsonl'));
    writeFileSync(join(directory, 'violations.json'), JSON.stringify(round.violations, undefined, 2));
  }
  return directory;
}
