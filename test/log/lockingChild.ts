import { lockDataDir } from '../../src/log/dataDir.js';

// Run as a process of its own: takes a data directory and keeps it for as long as it lives.
lockDataDir(process.argv[2] ?? '');
process.stdout.write('taken\n');
setInterval(() => {}, 60_000);
