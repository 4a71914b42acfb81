import { useEffect, useMemo, useRef } from 'preact/hooks';
import { type ConsoleApi, describeError } from '../../console/consoleApi.js';
import { formatUtc } from '../../ui/format.js';
import { useRequest } from '../../ui/hooks.js';
import { useConsole } from '../consoleContext.js';
import { fromBase64 } from '../verify/bytes.js';
import { readEntry } from '../verify/entry.js';
import type { HeadCheck } from '../witness/witness.js';
import type { SizeSample, WitnessState } from '../witness/witnessState.js';
import type { GrowthLine } from './growthChart.js';

/** Samples of each partition, however large it is. */
const SAMPLES = 12;
/** Samples of all partitions together: each one is a request. */
const MAX_SAMPLES = 200;
/** Table rows of all partitions together; the chart shows every point. */
const MAX_ROWS = 48;

interface Props {
  readonly checks: readonly HeadCheck[];
  readonly state: WitnessState;
}

/** The size of each partition over time, as a chart and as a table. */
export function GrowthPanel({ checks, state }: Props) {
  const { api } = useConsole();
  const partitions = checks.map(({ partition }) => partition).join();
  const request = useRequest(partitions === '' ? undefined : partitions, async (signal) => {
    const samples = new Map<number, readonly SizeSample[]>();
    for (const { partition, size = 0 } of checks)
      samples.set(partition, await sampleSizes(api, { partition, size, partitions: checks.length }, signal));
    return samples;
  });
  const samples = request.value;
  const sizes = checks.map(({ size }) => size).join();
  const lines: readonly GrowthLine[] = useMemo(
    () =>
      checks.map(({ partition }) => ({
        partition,
        points: mergeByTime(samples?.get(partition) ?? [], state.partitions[partition]?.sizes ?? []),
      })),
    [samples, sizes],
  );
  // A chart needs two points.
  if (request.state === 'loading' || lines.every(({ points }) => points.length < 2)) return null;
  return (
    <section class="panel" aria-label="Log growth">
      <h2>Log growth</h2>
      <div class="growth">
        <Chart lines={lines} />
        <Table lines={lines} />
      </div>
      {request.state === 'failed' ? (
        <p class="quiet">Earlier sizes are not available. {describeError(request.error)}</p>
      ) : null}
    </section>
  );
}

/** Samples how a partition grew: the time at which it reached each sampled size. */
async function sampleSizes(
  api: ConsoleApi,
  {
    partition,
    size,
    partitions,
  }: { readonly partition: number; readonly size: number; readonly partitions: number },
  signal: AbortSignal,
): Promise<readonly SizeSample[]> {
  if (size === 0) return [];
  const count = Math.max(2, Math.min(SAMPLES, Math.floor(MAX_SAMPLES / partitions)));
  const offsets = Array.from({ length: count }, (_, i) => Math.round(((size - 1) * i) / (count - 1)));
  const samples: SizeSample[] = [];
  for (const offset of new Set(offsets)) {
    const path = `/audit/log/${partition}/proof`;
    const { entry } = await api.json<{ entry: string }>(path, { offset, size }, signal);
    const { recordedAt } = readEntry(new TextDecoder().decode(fromBase64(entry)));
    if (typeof recordedAt === 'string') samples.push({ at: recordedAt, size: offset + 1 });
  }
  return samples;
}

const mergeByTime = (...samples: readonly (readonly SizeSample[])[]): readonly SizeSample[] =>
  [...new Map(samples.flat().map((sample) => [sample.at, sample])).values()].sort((one, two) =>
    one.at < two.at ? -1 : 1,
  );

function Chart({ lines }: { readonly lines: readonly GrowthLine[] }) {
  const container = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = container.current;
    if (!element) return;
    let isOver = false;
    let removeChart = (): void => {};
    // Loads the chart library only when there is something to draw. If it fails to load, the table is enough.
    const loading = import('./growthChart.js').catch(() => undefined);
    void loading.then((chart) => {
      if (chart && !isOver) removeChart = chart.drawGrowth(element, lines);
    });
    return () => {
      isOver = true;
      removeChart();
    };
  }, [lines]);
  return (
    <div
      ref={container}
      class="chart"
      role="img"
      aria-label="Chart of the number of events in each partition over time. The table has the numbers."
    />
  );
}

function Table({ lines }: { readonly lines: readonly GrowthLine[] }) {
  const step = (points: readonly SizeSample[]) => Math.ceil((points.length * lines.length) / MAX_ROWS);
  const isShown = (points: readonly SizeSample[], i: number): boolean =>
    i % step(points) === 0 || i === points.length - 1;
  return (
    <table>
      <caption class="hidden-visually">Events in each partition over time</caption>
      <thead>
        <tr>
          <th scope="col">Partition</th>
          <th scope="col">Time (UTC)</th>
          <th scope="col" class="number">
            Events
          </th>
        </tr>
      </thead>
      <tbody>
        {lines.flatMap(({ partition, points }) =>
          points
            .filter((_, i) => isShown(points, i))
            .map(({ at, size }) => (
              <tr key={`${partition}/${at}`}>
                <td>{partition}</td>
                <td>{formatUtc(at)}</td>
                <td class="number">{size}</td>
              </tr>
            )),
        )}
      </tbody>
    </table>
  );
}
