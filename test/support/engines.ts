import { freshDatabase, mongoUrl } from './mongo.js';
import { type Engine, type ServerOptions, type ServerProcess, startServer } from './server.js';

export const allEngines: readonly Engine[] = ['sqlite', 'mongodb'];

/** Whether there is a server for this engine to test with; why not is said elsewhere, once a run. */
export async function hasEngine(engine: Engine): Promise<boolean> {
  return engine === 'sqlite' || (await mongoUrl()) !== undefined;
}

/** Starts a server of this engine on data of its own. */
export async function startFresh(
  engine: Engine,
  options: Omit<ServerOptions, 'engine'> = {},
): Promise<ServerProcess> {
  const store: Record<string, string> = engine === 'mongodb' ? { MONGO_URL: await freshDatabase() } : {};
  return startServer({ ...options, engine, env: { ...store, ...options.env } });
}
