import { FRONTIER_EVERY, type Head } from '../log/commit.js';
import type { Checkpoint } from '../projections/rows.js';

/** Events of a section, about: so many are in memory at once, and of so many the rows that change are written once. */
export const SECTION_EVENTS = 4096;

/** Commits of one partition that one thread checks in one go: `after` exclusive, `upTo` inclusive. */
export interface Section {
  readonly partition: number;
  readonly after: number;
  readonly upTo: number;
}

/**
 * What is behind `head` in sections of about so many events, one at least. But for the first, each begins behind a commit
 * that carries the frontier, so that what was before it need not be read.
 */
export function sectionsOf({ partition, position }: Head, end: Checkpoint, events: number): Section[] {
  const perEvent = end.position / Math.max(1, end.size);
  const commits = Math.max(1, Math.ceil((events * perEvent) / FRONTIER_EVERY)) * FRONTIER_EVERY;
  const sections: Section[] = [];
  let after = position;
  do {
    const upTo = Math.min(end.position, (Math.floor(after / commits) + 1) * commits);
    sections.push({ partition, after, upTo });
    after = upTo;
  } while (after < end.position);
  return sections;
}
