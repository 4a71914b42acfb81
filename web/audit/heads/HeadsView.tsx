import './heads.css';
import { useMemo } from 'preact/hooks';
import { sayWhy } from '../api.js';
import { useConsole } from '../console.js';
import { download } from '../download.js';
import { useAnswer } from '../useAnswer.js';
import { useWatch } from '../useWatch.js';
import type { Memory } from '../witness/memory.js';
import type { Sighting } from '../witness/witness.js';
import { Chart } from './Chart.js';
import { GrowthTable } from './GrowthTable.js';
import { type Growth, joined, sampleGrowth } from './growth.js';
import { HeadCard } from './HeadCard.js';
import { PastAlarms } from './PastAlarms.js';

/** The signed heads of all partitions, each judged by the one before. */
export function HeadsView() {
  const { witness } = useConsole();
  const { sightings, memory, isLooking, error } = useWatch();
  return (
    <>
      <p class="quiet">
        While this console is open it looks at the heads every few seconds, keeps them in this browser, and
        demands of each that it extends the one before: this browser is a witness of the log.
      </p>
      <div class="row">
        <button class="button primary" type="button" disabled={isLooking} onClick={() => void witness.look()}>
          Look now
        </button>
        <button
          class="button"
          type="button"
          onClick={() => download('heads-kept.json', JSON.stringify(memory, null, 2))}
        >
          Download what is kept
        </button>
      </div>
      {error === undefined ? null : (
        <p class="notice bad" role="status">
          {sayWhy(error)}
        </p>
      )}
      <ul class="heads">
        {sightings.map((sighting) => (
          <li key={sighting.partition}>
            <HeadCard sighting={sighting} kept={memory.partitions[sighting.partition]} />
          </li>
        ))}
      </ul>
      <GrowthSection sightings={sightings} memory={memory} />
      <PastAlarms alarms={memory.alarms} />
    </>
  );
}

interface GrowthProps {
  readonly sightings: readonly Sighting[];
  readonly memory: Memory;
}

function GrowthSection({ sightings, memory }: GrowthProps) {
  const { api } = useConsole();
  const partitions = sightings.map(({ partition }) => partition).join();
  const samples = useAnswer(partitions === '' ? undefined : partitions, async (signal) => {
    const found = new Map<number, Awaited<ReturnType<typeof sampleGrowth>>>();
    for (const { partition, size = 0 } of sightings)
      found.set(
        partition,
        await sampleGrowth(api, { partition, size, partitions: sightings.length }, signal),
      );
    return found;
  });
  const sampled = samples.value;
  const sizes = sightings.map(({ size }) => size).join();
  const growth: readonly Growth[] = useMemo(
    () =>
      sightings.map(({ partition }) => ({
        partition,
        points: joined(sampled?.get(partition) ?? [], memory.partitions[partition]?.seen ?? []),
      })),
    [sampled, sizes],
  );
  // Of one moment there is no picture.
  if (samples.state === 'loading' || growth.every(({ points }) => points.length < 2)) return null;
  return (
    <section class="panel" aria-label="Growth">
      <h2>Growth</h2>
      <div class="growth">
        <Chart growth={growth} />
        <GrowthTable growth={growth} />
      </div>
      {samples.state === 'failed' ? <p class="quiet">How it grew before: {sayWhy(samples.error)}</p> : null}
    </section>
  );
}
