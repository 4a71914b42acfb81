import type { Recorded } from '../domain/events.js';
import { groupKeyOwner, parseStream, type RoomId, streamOf, type WriterInRoom } from '../domain/ids.js';
import { evidenceEnd, reportName } from '../domain/moderation/reports.js';
import { partitionOf } from '../log/log.js';
import type { KeyStore } from '../vault/vault.js';
import type { HoldRow, HoldTable } from '../vault/vaultStore.js';

/** Ended holds of one sweep. */
const HOLDS_PER_SWEEP = 100;

export interface HeldTextsDeps {
  readonly keys: Pick<KeyStore, 'destroyTexts' | 'forgetRoomKeys'> & Pick<KeyStore, 'destroy'>;
  readonly holds: HoldTable;
  /** The log's number of partitions. */
  readonly partitions: number;
  /** Drops cached keys and texts of this writer in this room. */
  readonly forgetRoom: (room: WriterInRoom) => void;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/**
 * Destroys the keys of deleted texts, but keeps those under an open report until its decision, for 30 days after the
 * report at most. The vault holds a row for each text that a report keeps. It is written before the report is answered,
 * so that every later deletion finds it. Every step may be repeated, on any node.
 */
export class HeldTexts {
  readonly #deps: HeldTextsDeps;
  readonly #now: () => number;

  constructor(deps: HeldTextsDeps) {
    this.#deps = deps;
    this.#now = deps.now ?? Date.now;
  }

  /** Keeps the texts that a report names. */
  async keep({ stream, data, recordedAt }: Recorded<'MessageReported'>): Promise<void> {
    const { reportId, roomId, evidence = [] } = data;
    const until = evidenceEnd(recordedAt);
    if (roomId === undefined || evidence.length === 0 || until <= this.#now()) return;
    const report = reportName(parseStream(stream).id, reportId);
    const { holds, partitions } = this.#deps;
    const partition = partitionOf(streamOf('room', roomId), partitions);
    const place = { report, roomId, partition, until, isDeleted: false };
    await holds.insertHolds(evidence.map(({ seq, senderId: owner }) => ({ ...place, owner, seq })));
    const seqs = evidence.map(({ seq }) => seq);
    const deleted = (await holds.findHoldsIn(roomId, seqs)).filter(({ isDeleted }) => isDeleted);
    // Deleted while another report kept it: now this one may be the last.
    if (deleted.length > 0)
      await holds.markHeld(
        roomId,
        deleted.map(({ seq }) => seq),
        this.#now(),
      );
  }

  /** Ends what a report has kept: destroys those of its texts that were deleted and that no other report keeps. */
  async release({ stream, data }: Recorded<'ReportDecided'>): Promise<void> {
    const report = reportName(parseStream(stream).id, data.reportId);
    const { holds } = this.#deps;
    // Ended first: of two reports that end at the same time, the later one finds none that keeps the text.
    await holds.endHolds(report);
    for (const hold of await holds.findHoldsOf(report)) await this.#settle(hold);
  }

  /** Destroys these texts, except those that a report keeps. */
  async destroy(room: WriterInRoom, seqs: readonly number[]): Promise<void> {
    const { holds, keys, forgetRoom } = this.#deps;
    const held = new Set(await holds.markHeld(room.roomId, seqs, this.#now()));
    const rest = seqs.filter((seq) => !held.has(seq));
    if (rest.length > 0) await keys.destroyTexts(room, rest);
    if (held.size > 0) keys.forgetRoomKeys(room);
    forgetRoom(room);
  }

  /** Destroys the key of a group's name: nobody is left whom it concerns. */
  async destroyGroup(roomId: RoomId): Promise<void> {
    const owner = groupKeyOwner(roomId);
    await this.#deps.keys.destroy(owner);
    this.#deps.forgetRoom({ owner, roomId });
  }

  /** Carries out what was put off in these partitions and is due: after 30 days, or because a node was cut off. */
  async sweep(partitions: readonly number[]): Promise<void> {
    if (partitions.length === 0) return;
    const ended = await this.#deps.holds.listEndedHolds(partitions, this.#now(), HOLDS_PER_SWEEP);
    for (const hold of ended) await this.#settle(hold);
  }

  /** Removes the ended holds of a text. If none is left, and the text was deleted, its key is destroyed before. */
  async #settle({ owner, roomId, seq }: HoldRow): Promise<void> {
    const { holds, keys, forgetRoom } = this.#deps;
    const now = this.#now();
    const all = await holds.findHoldsIn(roomId, [seq]);
    if (all.some(({ isDeleted }) => isDeleted)) {
      const isKept = all.some(({ until }) => until > now);
      // The other holds may not know of the deletion, and one of them will be the last.
      if (!isKept || !(await holds.markHeld(roomId, [seq], now)).includes(seq)) {
        await keys.destroyTexts({ owner, roomId }, [seq]);
        forgetRoom({ owner, roomId });
      }
    }
    await holds.removeEndedHolds(roomId, seq, now);
  }
}
