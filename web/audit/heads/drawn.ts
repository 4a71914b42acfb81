import UPlot, { type Options } from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Growth } from './growth.js';

const HEIGHT = 260;

/** Draws the growth of all partitions, a line each, as wide as the element is. What is returned takes it away. */
export function draw(element: HTMLElement, growth: readonly Growth[]): () => void {
  const chart = new UPlot(optionsFor(element, growth), alignedData(growth), element);
  const resized = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: HEIGHT }));
  resized.observe(element);
  return () => {
    resized.disconnect();
    chart.destroy();
  };
}

/** Times of all partitions in one row, and of each partition its sizes at them. */
function alignedData(growth: readonly Growth[]): [number[], ...(number | null)[][]] {
  const times = [...new Set(growth.flatMap(({ points }) => points.map(({ at }) => Date.parse(at))))].sort(
    (one, two) => one - two,
  );
  const sizes = growth.map(({ points }) => {
    const byTime = new Map(points.map(({ at, size }) => [Date.parse(at), size]));
    return times.map((time) => byTime.get(time) ?? null);
  });
  return [times.map((time) => time / 1000), ...sizes];
}

function optionsFor(element: HTMLElement, growth: readonly Growth[]): Options {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour('--quiet'),
    grid: { stroke: colour('--line') },
    ticks: { stroke: colour('--line') },
  };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    tzDate: (seconds) => UPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
    axes: [
      { ...axis, values: (_, seconds) => seconds.map(labelFor(seconds)) },
      { ...axis, size: 64 },
    ],
    scales: { y: { range: (_, _min, max) => [0, Math.max(1, max * 1.05)] } },
    legend: { show: growth.length > 1 },
    series: [
      { label: 'time' },
      ...growth.map(({ partition }, i) => ({
        label: `partition ${partition}`,
        stroke: growth.length === 1 ? colour('--accent') : `hsl(${(215 + i * 137.5) % 360} 60% 55%)`,
        width: 2,
        spanGaps: true,
      })),
    ],
  };
}

const DAY_S = 86_400;

/** How a time is written beside others: as the tables have it, in UTC, with what tells these times apart. */
function labelFor(seconds: readonly number[]): (time: number) => string {
  const span = (seconds.at(-1) ?? 0) - (seconds[0] ?? 0);
  const [begin, end] = span > 2 * DAY_S ? [0, 10] : span > 300 ? [11, 16] : [11, 19];
  return (time) => new Date(time * 1000).toISOString().slice(begin, end);
}
