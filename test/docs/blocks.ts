import { readdirSync, readFileSync } from 'node:fs';
import MarkdownIt from 'markdown-it';
import { repository } from '../deploy/dockerfile.js';

/** A block of code in a document. */
export interface Block {
  readonly file: string;
  /** The number of its first line. */
  readonly line: number;
  /** The text after the fence: a language and a name. */
  readonly info: string;
  readonly code: string;
}

/** Returns file and line of a block, for messages. */
export const placeOf = ({ file, line }: Block): string => `${file}:${line}`;

/** Returns every block of code of README.md and of the Markdown below `docs/`, including indented blocks. */
export function allBlocks(): readonly Block[] {
  const docs = readdirSync(`${repository}/docs`, { recursive: true, encoding: 'utf8' });
  const files = ['README.md', ...docs.filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];
  return files.flatMap((file) =>
    new MarkdownIt()
      .parse(readFileSync(`${repository}/${file}`, 'utf8'), {})
      .filter(({ type }) => type === 'fence' || type === 'code_block')
      .map(({ info, content, map }) => ({ file, line: (map?.[0] ?? 0) + 2, info, code: content })),
  );
}
