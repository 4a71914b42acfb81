import { stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Collection, Db } from 'mongodb';

/** When this system was last alive: after a crash, that is when its users were last seen. */
export interface Heartbeat {
  /** Undefined before the first beat. */
  last(): Promise<Date | undefined>;
  beat(): Promise<void>;
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

interface NodeDocument {
  _id: string;
  heartbeat: Date;
}

/** MongoDB's: a document, on the database's own clock. */
export function mongoHeartbeat(db: Db): Heartbeat {
  const nodes: Collection<NodeDocument> = db.collection('nodes');
  return {
    async last() {
      return (await nodes.findOne({ _id: 'node' }))?.heartbeat;
    },
    async beat() {
      await nodes.updateOne({ _id: 'node' }, [{ $set: { heartbeat: '$$NOW' } }], { upsert: true });
    },
  };
}
