import type { Report } from '../audit/report.js';
import type { Wrong } from '../audit/wrong.js';

/** What was checked, a line a partition and a read model. */
export function reportLines({ partitions, models }: Report): string[] {
  return [
    ...partitions.map(({ partition, events, until, root, commits }) => {
      const inCommits = commits === undefined ? '' : ` in ${commits} commits`;
      return `partition ${partition}: ${events} events${inCommits}, until ${until || '-'}, root ${root}`;
    }),
    ...models.map(({ name, rows }) => `${name}: ${rows} rows are as a fresh fold makes them`),
  ];
}

/** The one line that says what is wrong, and where. */
export function wrongLine({ what, partition, position, offset }: Wrong): string {
  const places = Object.entries({ partition, position, offset }).flatMap(([name, at]) =>
    at === undefined ? [] : [`${name} ${at}`],
  );
  return `wrong: ${what}${places.length > 0 ? ` (${places.join(', ')})` : ''}`;
}
