import type { Defect } from './injectDefect.js';

/** Defects of the product that the simulation must find, by description. */
export const defects: Readonly<Record<string, Defect>> = {
  'fencing: a writer takes over without a fence': [
    {
      find: /const \{ commit, head \} = await appendFence\([^;]*;\s*deps\.storage\.bus\.publish\([^;]*;/,
      put: `const last = await loadHead(deps.storage.log, partition);
        if (!target.isWanted() || deps.environment.clock.now() >= lease.validUntil) throw new NotOwner(partition);
        const head = { ...last, epoch: Math.max(lease.epoch, last.epoch + 1) };`,
    },
  ],
  'fencing: whoever has lost a position goes on without reading what took it': [
    {
      find: /else\s+await this\.#handleLost\(batch\);/,
      put: 'else this.#handleCommitted(batch, commit, head);',
    },
  ],
  'unknown outcomes: a time-out of an append is taken for a success': [
    {
      find: /await this\.#waitToRetry\(wait, commit, error\);/,
      put: "return { kind: 'committed' };",
    },
  ],
  'unknown outcomes: whoever has the position, it counts as ours': [
    {
      find: /return \{ kind: 'lost', to: there \};/,
      put: "return { kind: 'committed' };",
    },
  ],
  'unknown outcomes: an answer for some commits of a call counts for all': [
    { find: /isComplete \? undefined/, put: 'true ? undefined' },
  ],
  'unknown outcomes: a command that was not answered counts as not sent': [
    {
      find: /item\.unknownSince \?\?= item\.sentAt;\s+this\.#takeBack\(window, item\);/,
      put: 'item.sentAt = undefined; this.#takeBack(window, item);',
    },
  ],
  'gaps: a consumer hands on whatever the bus brings': [
    { find: /position === last \+ 1 && /, put: 'position > last && ' },
    {
      find: /#isRunning \|\| position !== this\.position \+ 1\)/,
      put: '#isRunning || position <= this.position)',
    },
    { find: /if \(item\.position !== this\.position \+ 1\)\s+throw .*;/, put: '' },
  ],
  'gaps: a consumer hands on again what the bus repeats': [
    { find: /position === last \+ 1 && /, put: '' },
    { find: /#isRunning \|\| position !== this\.position \+ 1\)/, put: '#isRunning)' },
    {
      find: /if \(this\.#isStopped \|\| item\.position <= this\.position\)/,
      put: 'if (this.#isStopped)',
    },
    { find: /if \(item\.position !== this\.position \+ 1\)\s+throw .*;/, put: '' },
  ],
  'repeats: the tail forgets what a look-up under way may have missed': [
    { find: /tail\.trim\(Math\.min\(size, needed\)\)/, put: 'tail.trim(size)' },
  ],
  'changes: a message is looked up without the changes that the read models lack': [
    {
      find: /return this\.changesOf\(message\)\s+\.filter\(\(event\) => event\.offset > offset\)/,
      put: 'return []',
    },
  ],
  'members: the rows of members are not completed from the tail': [
    {
      find: /key !== undefined && event\.offset > \(offsets\.get\(key\) \?\? -1\)/,
      put: 'false',
    },
  ],
  'lanes: what comes back goes last': [
    {
      find: /\[\.\.\.resend, \.\.\.this\.#waiting\]/,
      put: '[...this.#waiting, ...resend]',
    },
  ],
};
