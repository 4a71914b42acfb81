import type { Block } from './blocks.js';

/** How a block of code is tried. */
export type Rule =
  /** Pasted whole by the test of the audit's walk. */
  | 'walk'
  /** Pasted into a shell beside a server. */
  | 'pasted'
  /** Part of a program that is compiled and run. */
  | 'program'
  /** JSON of the shape that it is named by. */
  | 'json'
  /** What is typed into `npm run talk`: requests of the contract. */
  | 'talk'
  /** What a command prints, but for its figures. */
  | 'output'
  /**
   * Not run: its shell syntax is checked, and that every script, verb and option in it exists. For what installs
   * packages anew or starts a server, needs Docker, MongoDB or a machine to itself, or undoes what a test stands on.
   */
  | 'commands'
  /** Not run, for it takes something away in a database that tests do not have: its syntax is checked. */
  | 'script';

const notRun: Readonly<Record<string, string>> = {
  'README.md':
    'installs, starts servers, needs Docker or MongoDB; the talk and the verbs are tried elsewhere',
  'docs/operations.md': 'backs up and restores MongoDB and what is in production',
  'docs/performance.md': 'takes a machine for most of an hour',
};

/** The rule a block is under, or none. */
export function ruleOf({ file, info, code }: Block): Rule | undefined {
  const [language, what] = info.split(' ');
  if (language === 'json' && what !== undefined) return 'json';
  if (language === 'ts' && file === 'docs/client.md') return 'program';
  if (info === 'js' && file === 'docs/audit.md') return 'script';
  if (info === 'text output') return 'output';
  // How to rotate keys and to accept a restored log: pasted there, it would change what the walk shows.
  if (info === 'text' && file === 'docs/audit.md') return 'commands';
  if (info !== 'sh') return undefined;
  if (file === 'docs/audit.md') return 'walk';
  if (file === 'docs/index.md') return code.startsWith('npm ci') ? 'commands' : 'pasted';
  if (code.startsWith('npm run talk -- <')) return 'talk';
  return file in notRun ? 'commands' : undefined;
}
