import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const built = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const timeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/**
 * Tests start the program as it is installed: bundled, which takes two thirds of the time. Who compiled since, without
 * the build script, gets the modules that were compiled.
 */
const isBundled = timeOf(built('server/lib/main.js')) > timeOf(built('.tsbuildinfo'));

/** What Node is started with for a server. */
export const serverProgram = built(isBundled ? 'server/lib/main.js' : 'src/app/main.js');

/** The command line. */
export const commandLine = built(isBundled ? 'server/lib/bin.js' : 'src/cli/bin.js');
