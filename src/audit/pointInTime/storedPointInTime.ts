import { setTimeout as delay } from 'node:timers/promises';
import type { RoomId, UserId } from '../../domain/ids.js';
import type { Time } from '../../domain/shapes.js';
import { chatsModel } from '../../projections/models/chatRows.js';
import { friendshipsModel } from '../../projections/models/friendshipRows.js';
import { streamsModel } from '../../projections/models/streamIndex.js';
import { usersModel } from '../../projections/models/userRows.js';
import { type Engine, openReaderHere } from '../../projections/store/engine.js';
import { ActiveReader } from '../../projections/store/openReader.js';
import { type AnyModel, type Checkpoint, tableOf } from '../../projections/store/rowStore.js';
import { openVault } from '../../vault/openVault.js';
import { createPlaintextCache, createTextOpener } from '../../vault/textOpener.js';
import type { At } from '../events/eventFilter.js';
import { type AuditedLog, openAuditedLog, openStoredRows } from '../storedRows.js';
import { activeGenerations } from '../verify/comparedModels.js';
import {
  type RoomSnapshot,
  readRoomAt,
  readUserAt,
  type SnapshotSource,
  type UserSnapshot,
} from './pointInTime.js';

/** A running server folds the rest of the log within this time. */
const FOLD_WAIT_MS = 5000;
const POLL_MS = 50;

/** An existing system, read beside a running server or without one. */
interface StoredSystem {
  readonly engine: Engine;
  readonly masterKey: Buffer;
}

/** The read models lack a part of the log, and no server folds it. */
class ReadModelsBehind extends Error {
  override readonly name = 'ReadModelsBehind';
}

/** Reads like `readRoomAt`. Throws `ReadModelsBehind`, and the errors of log, vault and read models. */
export const readStoredRoomAt = (system: StoredSystem, roomId: RoomId, at: At): Promise<RoomSnapshot> =>
  withSources(system, [usersModel], (past) => readRoomAt(past, roomId, at));

/** Reads like `readUserAt`. Throws like `readStoredRoomAt`. */
export const readStoredUserAt = (system: StoredSystem, userId: UserId, time: Time): Promise<UserSnapshot> =>
  withSources(system, [usersModel, friendshipsModel, chatsModel], (past) => readUserAt(past, userId, time));

async function withSources<T>(
  { engine, masterKey }: StoredSystem,
  needed: readonly AnyModel[],
  read: (past: SnapshotSource) => Promise<T>,
): Promise<T> {
  const opened: (() => unknown)[] = [];
  try {
    const log = await openAuditedLog(engine);
    opened.push(() => log.close());
    const vault = await openVault({ engine, masterKey });
    opened.push(() => vault.close());
    const memory = createPlaintextCache();
    opened.push(() => memory.close());
    const stored = await openReaderHere(engine);
    opened.push(() => stored.close());
    const rows = new ActiveReader(stored.reader, await generationsIn(engine));
    const checkpoint = (model: AnyModel, partition: number) =>
      stored.checkpoint(rows.current(model), partition);
    await waitUntilFolded(log, needed, checkpoint);
    const indexed = async (partition: number) => (await checkpoint(streamsModel, partition)).size;
    return await read({ log, rows, indexed, open: createTextOpener(vault.keys, memory) });
  } finally {
    for (const close of opened.reverse()) await close();
  }
}

/** The active generations, by model name. */
async function generationsIn(engine: Engine): Promise<Map<string, number>> {
  const stored = await openStoredRows(engine);
  try {
    const active = await activeGenerations(stored);
    return new Map(
      [usersModel, friendshipsModel, chatsModel, streamsModel].map((model) => [
        model.name,
        active.get(tableOf(model)) ?? 0,
      ]),
    );
  } finally {
    await stored.close();
  }
}

/** Waits until the models have folded everything that is in the log now. */
async function waitUntilFolded(
  log: AuditedLog,
  models: readonly AnyModel[],
  checkpoint: (model: AnyModel, partition: number) => Promise<Checkpoint>,
): Promise<void> {
  const until = performance.now() + FOLD_WAIT_MS;
  for (let partition = 0; partition < log.partitions; partition++) {
    const size = (await log.tail(partition))?.size ?? 0;
    for (const model of models)
      while ((await checkpoint(model, partition)).size < size) {
        if (performance.now() > until)
          throw new ReadModelsBehind(
            `the read model ${model.name} is behind the log: start the server, then try again`,
          );
        await delay(POLL_MS);
      }
  }
}
