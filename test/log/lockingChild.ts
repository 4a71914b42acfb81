import { lockDataDir } from '../../src/app/dataDir.js';

// Runs as its own process. Holds a data directory until killed.
lockDataDir(process.argv[2] ?? '');
process.stdout.write('taken\n');
setInterval(() => {}, 60_000);
