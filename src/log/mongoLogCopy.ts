import type { Collection, Db } from 'mongodb';
import { isDuplicateKey, MAJORITY } from '../base/mongo.js';
import type { Commit } from './log.js';
import { type CommitDocument, toDocument } from './mongoLog.js';
import { COMMITS } from './mongoLogMeta.js';

/** Writes commits that exist elsewhere into MongoDB. No node uses the log meanwhile. */
export class MongoLogCopy {
  readonly #commits: Collection<CommitDocument>;

  constructor(db: Db) {
    this.#commits = db.collection<CommitDocument>(COMMITS, MAJORITY);
  }

  /**
   * Stores commits of one partition, in order: what is left of a call that is cut off has no hole. A commit that is there
   * already stays as it is. Durable once resolved.
   */
  async write(commits: readonly Commit[]): Promise<void> {
    const documents = commits.map(toDocument);
    if (documents.length === 0) return;
    try {
      await this.#commits.insertMany(documents, { ordered: true });
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
      // The last call of a run that was killed has come late.
      for (const document of documents) await this.#insertMissing(document);
    }
  }

  async clear(): Promise<void> {
    await this.#commits.deleteMany({});
  }

  async #insertMissing(document: CommitDocument): Promise<void> {
    await this.#commits.insertOne(document).catch((error: unknown) => {
      if (!isDuplicateKey(error)) throw error;
    });
  }
}
