import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A page written in Markdown; `source` is its path in the repository. */
export interface Written {
  readonly source: string;
  readonly url: string;
  readonly name: string;
}

/** A page that the build generates from the schemas, the types or the list of decisions. */
export interface Generated {
  readonly made: 'protocol' | 'reference' | 'decisions';
  /** A file or a folder. Markdown links to it lead to the page: in the repository they lead to what the page is made of. */
  readonly source?: string;
  readonly url: string;
  readonly name: string;
}

export type PageOf = Written | Generated;

/** Pages under a heading of the navigation. */
export interface Part {
  readonly heading: string;
  readonly pages: readonly PageOf[];
}

const page = (file: string, name: string): Written => ({
  source: `docs/${file}.md`,
  url: file === 'index' ? '/docs' : `/docs/${file}`,
  name,
});

/** The list of all pages in reading order. */
export const outline: readonly Part[] = [
  {
    heading: 'Start',
    pages: [
      page('index', 'Five minutes'),
      page('concepts', 'Concepts'),
      page('questions', 'Questions'),
      page('comparison', 'Comparison'),
    ],
  },
  {
    heading: 'Build a client',
    pages: [
      { made: 'protocol', source: 'src/domain', url: '/docs/protocol', name: 'The contract' },
      page('limits', 'Limits'),
      page('client', 'Client guide'),
      {
        made: 'reference',
        source: 'packages/client/src/index.ts',
        url: '/docs/reference',
        name: 'Client reference',
      },
      page('tutorial', 'Tutorial'),
      page('host', 'The host application'),
      page('porting', 'Porting from Socket.IO'),
      page('webhooks', 'Events for the host'),
    ],
  },
  {
    heading: 'Run it',
    pages: [
      { source: 'README.md', url: '/docs/readme', name: 'Settings and commands' },
      page('small-server', 'One small server'),
      page('cluster', 'A cluster'),
      page('moving', 'Moving to MongoDB'),
      page('operations', 'Operations'),
      page('incidents', 'Incidents'),
      page('security', 'Security'),
      page('audit', 'Audit'),
    ],
  },
  {
    heading: 'How it works',
    pages: [
      page('architecture', 'Architecture'),
      page('log-format', 'Log format'),
      page('performance', 'Performance'),
      page('scale', 'Scale'),
      page('testing', 'Testing'),
      page('dependencies', 'Dependencies'),
      { made: 'decisions', source: 'docs/decisions', url: '/docs/decisions', name: 'Decisions' },
    ],
  },
];

/** Returns the pages of the decisions, oldest first. The navigation shows only the page that lists them. */
export function decisionPages(root: string): readonly Written[] {
  return readdirSync(join(root, 'docs/decisions'))
    .filter((file) => file.endsWith('.md'))
    .sort()
    .map((file) => {
      const source = `docs/decisions/${file}`;
      const [, name = file] = /^# (.+)$/m.exec(readFileSync(join(root, source), 'utf8')) ?? [];
      return { source, url: `/docs/decisions/${file.replace(/\.md$/, '')}`, name };
    });
}
