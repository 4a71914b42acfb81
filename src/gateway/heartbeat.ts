import { stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const BEAT_MS = 5000;

/** When a system of one process was last alive: after a crash, that is when its users were last seen. */
export interface Heartbeat {
  /** Undefined before the first beat. */
  last(): Promise<Date | undefined>;
  beat(): Promise<void>;
}

/** Beats now and every 5 s; returns the function that ends it. */
export async function startBeating(
  heartbeat: Heartbeat,
  report: (error: unknown) => void,
): Promise<() => void> {
  const beat = () => heartbeat.beat().catch(report);
  await beat();
  const timer = setInterval(() => void beat(), BEAT_MS);
  return () => clearInterval(timer);
}

/** The embedded engine's: the modification time of a file. */
export function fileHeartbeat(dataDir: string): Heartbeat {
  const file = join(dataDir, 'heartbeat');
  return {
    async last() {
      try {
        return (await stat(file)).mtime;
      } catch {
        return undefined; // Before the first beat there is no file.
      }
    },
    async beat() {
      const now = new Date();
      await utimes(file, now, now).catch(() => writeFile(file, '', { mode: 0o600 }));
    },
  };
}
