import { v5 as uuidv5 } from 'uuid';
import type { MessageRef } from '../../src/domain/ids.js';
import { MemoryLog } from '../support/memoryLog.js';
import { MemoryRows } from '../support/rowsMemory.js';
import { IdWorld } from './idWorld.js';

const NAMESPACE = '1f6f2ad3-6f0d-4c35-a0f5-0c8d7d0e6b51';

/** A log of this number of messages in 4 rooms, the same in each process. */
export async function storyOf(messages: number): Promise<MemoryLog> {
  const log = new MemoryLog();
  const world = await IdWorld.open(new MemoryRows(), { log });
  for (let sent = 0; sent < messages; sent += 10) {
    const refs = Array.from({ length: 10 }, (_, i): MessageRef => {
      const roomId = uuidv5(`room ${(sent + i) % 4}`, NAMESPACE);
      return { roomId, messageId: uuidv5(`message ${sent + i}`, NAMESPACE) };
    });
    await world.append(refs);
  }
  return log;
}
