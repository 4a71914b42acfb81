import { type CommitFrame, commitFrame, type RoomsOfCommit, receiversOf } from '../../src/cluster/bus.js';
import { encodeEvent } from '../../src/domain/codec.js';
import { roomIdOf, streamOf } from '../../src/domain/ids.js';
import type { Commit } from '../../src/log/log.js';

export const ada = '00000000-0000-4000-8000-00000000000a';
export const bob = '00000000-0000-4000-8000-00000000000b';

export const room = roomIdOf(ada, bob);
const members: RoomsOfCommit = new Map([[streamOf('room', room), [ada, bob]]]);
const recordedAt = '2026-01-02T03:04:05.678Z';

/** Encodes a message between these two, whose sealed text is `text`. */
export const messageLeaf = (version: number, text: string, roomId = room): string =>
  encodeEvent({
    stream: `room:${roomId}`,
    version,
    type: 'MessageSent',
    data: { roomId, messageId: `${version}`, seq: version, text },
    actor: ada,
    recordedAt,
    commandId: `command ${version}`,
  });

/** Encodes that this user is online. */
export const onlineLeaf = (userId: string): string =>
  encodeEvent({
    stream: `user:${userId}`,
    version: 1,
    type: 'UserWentOnline',
    data: { userId },
    actor: userId,
    recordedAt,
    commandId: 'command',
  });

/** Encodes that this user changed their profile. */
export const profileLeaf = (userId: string): string =>
  encodeEvent({
    stream: `user:${userId}`,
    version: 1,
    type: 'ProfileChanged',
    data: { userId },
    actor: userId,
    recordedAt,
    commandId: 'command',
  });

/** Creates a commit with these leaves. Its hashes are fake: the bus ignores them. */
export const commitOf = (position: number, leaves: readonly string[]): Commit => ({
  partition: 3,
  position,
  id: `commit ${position}`,
  epoch: 7,
  recordedAt,
  firstOffset: 100,
  size: 100 + leaves.length,
  leaves,
  root: 'root',
  hash: 'hash',
});

export const frameOf = (position: number, leaves: readonly string[]): CommitFrame =>
  commitFrame(commitOf(position, leaves), members);

/** Copies a frame with its lazily decoded fields, but without the texts, which never leave their process. */
export function allOf(frame: CommitFrame): Omit<CommitFrame, 'texts'> {
  const { texts: _, ...all } = frame;
  return { ...all, receivers: receiversOf(frame) };
}
