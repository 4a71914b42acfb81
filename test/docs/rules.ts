import type { Block } from './blocks.js';

/** How the tests check a block of code. */
export type Rule =
  /** The test of this document alone runs it: `audit.test.ts`, `moving.test.ts`, `questions.test.ts`. */
  | 'walk'
  /** A shell runs it against a server. */
  | 'pasted'
  /** A test of `test/deploy` runs it. */
  | 'deploy'
  /** `test/docs/tutorial.test.ts` runs it, or writes it into the file that it names. */
  | 'tutorial'
  /** It is the file of `examples` that it names, word for word. A test of `test/deploy` runs that. */
  | 'example'
  /** It is part of a program that is compiled and run. */
  | 'program'
  /** It is JSON of the named shape. */
  | 'json'
  /** It is input of `npm run talk`: requests of the contract. */
  | 'talk'
  /** It shows a part of the format of the log, which the code writes so. */
  | 'format'
  /** It shows the headers of what Parley sends to a server of the host. */
  | 'delivery'
  /** It is a request that the documents describe. */
  | 'request'
  /** It is settings as a server takes them. */
  | 'settings'
  /** It is the output of a command, except for the numbers. */
  | 'output'
  /**
   * It does not run. The test checks its shell syntax, and that every script, verb and option in it exists. It installs
   * packages, starts a server, needs Docker, MongoDB or its own machine, or would disturb another test.
   */
  | 'commands'
  /** It is a file of fail2ban. `test/e2e/securityLog.test.ts` applies its filter. */
  | 'fail2ban'
  /** It does not run, because it deletes collections of MongoDB. The test checks its syntax. */
  | 'script';

const notRun: Readonly<Record<string, string>> = {
  'README.md':
    'installs packages, starts servers, needs Docker or MongoDB; other tests run talk and the verbs',
  'docs/operations.md': 'backs up and restores MongoDB and production data',
  'docs/host.md': 'makes a key for production',
  'docs/webhooks.md': 'asks a server on the internet',
  'docs/performance.md': 'occupies a machine for 40 minutes',
  'docs/cluster.md': 'needs Docker and Kubernetes',
  'docs/testing.md': 'runs the tests, for up to an hour',
};

/** Returns the rule of a block, or undefined if it has none. */
export function ruleOf({ file, info, code }: Block): Rule | undefined {
  const [language, what] = info.split(' ');
  if (file === 'docs/tutorial.md') return what === undefined ? undefined : 'tutorial';
  if (what?.startsWith('examples/')) return 'example';
  if (language === 'json' && what !== undefined) return 'json';
  if (language === 'ts' && file === 'docs/client.md') return 'program';
  if (info === 'js' && file === 'docs/audit.md') return 'script';
  if ((info === 'tsx' || info === 'sh') && file === 'docs/client.md') return 'deploy';
  if (info === 'text output') return 'output';
  if (info === 'text delivery') return 'delivery';
  if (info === 'text request') return 'request';
  if (info === 'text settings') return 'settings';
  if (info === 'ini' && file === 'docs/operations.md') return 'fail2ban';
  if (info === 'ini' && file === 'docs/cluster.md') return 'deploy';
  if (file === 'docs/log-format.md' && /^text (leaf|commit|commits|head)$/.test(info)) return 'format';
  // Key rotation and the acceptance of a restored log would change the results of the other commands.
  if (info === 'text' && file === 'docs/audit.md') return 'commands';
  if (info !== 'sh') return undefined;
  if (['audit', 'moving', 'questions'].some((name) => file === `docs/${name}.md`)) return 'walk';
  if (file === 'docs/small-server.md') return code.startsWith('npm ci') ? 'commands' : 'deploy';
  if (file === 'docs/cluster.md') return code.startsWith('for node') ? 'deploy' : 'commands';
  if (file === 'docs/incidents.md') return 'deploy';
  if (file === 'docs/index.md') return code.startsWith('npm ci') ? 'commands' : 'pasted';
  if (code.startsWith('npm run talk -- <')) return 'talk';
  return file in notRun ? 'commands' : undefined;
}
