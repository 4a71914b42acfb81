import type { Logger } from 'pino';
import type { Queries } from '../projections/queries.js';
import type { Heartbeat } from './heartbeat.js';
import type { Presence, WritePresence } from './presence.js';

const BEAT_MS = 5000;
const PAGE = 200;

export interface LevellingDeps {
  readonly heartbeat: Heartbeat;
  readonly presence: Pick<Presence, 'isActive'>;
  readonly queries: Pick<Queries, 'online'>;
  readonly write: WritePresence;
  readonly graceMs: number;
  readonly logger: Logger;
}

/**
 * Beats, and once after a start, when one grace time has passed, takes offline whom the log still calls online
 * although no device of theirs has come back: last seen at the last beat of the life before.
 */
export async function startLevelling(deps: LevellingDeps): Promise<{ stop: () => void }> {
  const lastSeen = (await deps.heartbeat.last()) ?? new Date();
  const beat = () =>
    deps.heartbeat
      .beat()
      .catch((error: unknown) => deps.logger.warn({ err: error }, 'the heartbeat was missed'));
  await beat();
  const beating = setInterval(() => void beat(), BEAT_MS);
  let stopped = false;
  let grace = setTimeout(run, deps.graceMs);

  async function run(): Promise<void> {
    try {
      for (let after: string | undefined; !stopped; ) {
        const users = await deps.queries.online(PAGE, after);
        const gone = users.filter((user) => !deps.presence.isActive(user));
        await Promise.all(gone.map((user) => deps.write(user, lastSeen)));
        after = users.at(-1);
        if (users.length < PAGE) return;
      }
    } catch (error) {
      deps.logger.warn({ err: error }, 'presence could not be levelled; trying again');
      if (!stopped) grace = setTimeout(run, BEAT_MS);
    }
  }

  return {
    stop() {
      stopped = true;
      clearInterval(beating);
      clearTimeout(grace);
    },
  };
}
