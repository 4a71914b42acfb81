import type { Row } from './measures/measure.js';
import type { SystemName } from './systems/system.js';

function verdict({ cells }: Row): string {
  const judged = cells.filter(({ reached }) => reached !== undefined);
  if (judged.length === 0) return '—';
  const missed = judged.filter(({ reached }) => !reached).map(({ system }) => system);
  if (missed.length === 0) return 'reached';
  return missed.length === judged.length ? 'missed' : `missed: ${missed.join(', ')}`;
}

/** Formats a Markdown table with one column for each system, padded so that it is readable as plain text. */
export function formatTable(rows: readonly Row[], systems: readonly SystemName[]): string {
  const lines = [
    ['measure', 'goal', ...systems, 'verdict'],
    ...rows.map((row) => [
      row.measure,
      row.goal,
      ...systems.map((name) => row.cells.find(({ system }) => system === name)?.value ?? '—'),
      verdict(row),
    ]),
  ];
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  const format = (line: readonly string[]) =>
    `| ${line.map((text, column) => text.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return lines.map(format).toSpliced(1, 0, rule).join('\n');
}
