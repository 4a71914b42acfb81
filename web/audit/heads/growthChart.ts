import UPlot, { type Options } from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { SizeSample } from '../witness/witnessState.js';

const HEIGHT_PX = 260;
const DAY_S = 86_400;
const FIVE_MINUTES_S = 300;

/** The sizes of one partition over time, oldest first. */
export interface GrowthLine {
  readonly partition: number;
  readonly points: readonly SizeSample[];
}

/** Draws one line for each partition, as wide as the element. Returns a function that removes the chart. */
export function drawGrowth(element: HTMLElement, lines: readonly GrowthLine[]): () => void {
  const chart = new UPlot(optionsFor(element, lines), alignData(lines), element);
  const resizing = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: HEIGHT_PX }));
  resizing.observe(element);
  return () => {
    resizing.disconnect();
    chart.destroy();
  };
}

/** The library's format: the times of all partitions, then each partition's size at every time or `null`. */
function alignData(lines: readonly GrowthLine[]): [number[], ...(number | null)[][]] {
  const times = [...new Set(lines.flatMap(({ points }) => points.map(({ at }) => Date.parse(at))))].sort(
    (one, two) => one - two,
  );
  const sizes = lines.map(({ points }) => {
    const byTime = new Map(points.map(({ at, size }) => [Date.parse(at), size]));
    return times.map((time) => byTime.get(time) ?? null);
  });
  return [times.map((time) => time / 1000), ...sizes];
}

function optionsFor(element: HTMLElement, lines: readonly GrowthLine[]): Options {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour('--quiet'),
    grid: { stroke: colour('--line') },
    ticks: { stroke: colour('--line') },
  };
  return {
    width: element.clientWidth,
    height: HEIGHT_PX,
    tzDate: (seconds) => UPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
    axes: [
      { ...axis, values: (_, seconds) => seconds.map(labelFor(seconds)) },
      { ...axis, size: 64 },
    ],
    scales: { y: { range: (_, _min, max) => [0, Math.max(1, max * 1.05)] } },
    legend: { show: lines.length > 1 },
    series: [
      { label: 'time' },
      ...lines.map(({ partition }, i) => ({
        label: `partition ${partition}`,
        stroke: lines.length === 1 ? colour('--accent') : `hsl(${(215 + i * 137.5) % 360} 60% 55%)`,
        width: 2,
        spanGaps: true,
      })),
    ],
  };
}

/** Labels times in UTC like the tables, with only the part in which these times differ. */
function labelFor(seconds: readonly number[]): (time: number) => string {
  const span = (seconds.at(-1) ?? 0) - (seconds[0] ?? 0);
  const [start, end] = span > 2 * DAY_S ? [0, 10] : span > FIVE_MINUTES_S ? [11, 16] : [11, 19];
  return (time) => new Date(time * 1000).toISOString().slice(start, end);
}
