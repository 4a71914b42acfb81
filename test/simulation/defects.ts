import type { Defect } from './injectDefect.js';

/** Defects of the product that the simulation must find, by description. */
export const defects: Readonly<Record<string, Defect>> = {
  'fencing: a writer takes over without a fence': [
    {
      file: 'commands/term.js',
      find: /const outcome = await log\.append\(commit\);/,
      put: `return { ...last, epoch };
        const outcome = { kind: 'committed' };`,
    },
  ],
  'fencing: whoever has lost a position goes on without reading what took it': [
    {
      file: 'commands/writer.js',
      find: /else if \(appended\)\s+await this\.#lost\(batch\);/,
      put: 'else if (appended) this.#committed(batch, appended.commit, appended.head);',
    },
  ],
  'unknown outcomes: a time-out of an append is taken for a success': [
    {
      file: 'log/mongodb.js',
      find: /await this\.#pause\(wait, commit, error\);/,
      put: "return { kind: 'committed' };",
    },
  ],
  'unknown outcomes: whoever has the position, it counts as ours': [
    {
      file: 'log/outcome.js',
      find: /return \{ kind: 'lost', to: there \};/,
      put: "return { kind: 'committed' };",
    },
  ],
  'unknown outcomes: a command that was not answered counts as not sent': [
    {
      file: 'cluster/lane.js',
      find: /item\.doubtfulSince \?\?= item\.leftAt;\s+this\.#back\(voyage, item\);/,
      put: 'item.leftAt = undefined; this.#back(voyage, item);',
    },
  ],
  'gaps: a consumer hands on whatever the bus brings': [
    { file: 'log/reader.js', find: /item\.position === last \+ 1 && /, put: 'item.position > last && ' },
    { file: 'log/reader.js', find: /if \(item\.position !== this\.position \+ 1\)\s+throw .*;/, put: '' },
  ],
  'gaps: a consumer hands on again what the bus repeats': [
    { file: 'log/reader.js', find: /item\.position === last \+ 1 && /, put: '' },
    {
      file: 'log/reader.js',
      find: /if \(this\.#stopped \|\| item\.position <= this\.position\)/,
      put: 'if (this.#stopped)',
    },
    { file: 'log/reader.js', find: /if \(item\.position !== this\.position \+ 1\)\s+throw .*;/, put: '' },
  ],
  'repeats: the tail forgets what a look-up under way may have missed': [
    { file: 'commands/tail.js', find: /Math\.min\(size, oldest\?\.floor \?\? size\)/, put: 'size' },
  ],
  'lanes: what comes back goes last': [
    {
      file: 'cluster/lane.js',
      find: /\[\.\.\.again, \.\.\.this\.#waiting\]/,
      put: '[...this.#waiting, ...again]',
    },
  ],
};
