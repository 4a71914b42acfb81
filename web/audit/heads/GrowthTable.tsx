import { momentOf } from '../times.js';
import type { Growth } from './growth.js';

/** Rows of all partitions: the picture has the rest. */
const MOST = 48;

/** The numbers of the chart. */
export function GrowthTable({ growth }: { readonly growth: readonly Growth[] }) {
  return (
    <table>
      <caption class="hidden-visually">Events in each partition over time</caption>
      <thead>
        <tr>
          <th scope="col">Partition</th>
          <th scope="col">When (UTC)</th>
          <th scope="col" class="number">
            Events
          </th>
        </tr>
      </thead>
      <tbody>
        {growth.flatMap(({ partition, points }) =>
          thinned(points, growth.length).map(({ at, size }) => (
            <tr key={`${partition}/${at}`}>
              <td>{partition}</td>
              <td>{momentOf(at)}</td>
              <td class="number">{size}</td>
            </tr>
          )),
        )}
      </tbody>
    </table>
  );
}

function thinned<T>(points: readonly T[], partitions: number): readonly T[] {
  const every = Math.ceil((points.length * partitions) / MOST);
  return points.filter((_, i) => i % every === 0 || i === points.length - 1);
}
