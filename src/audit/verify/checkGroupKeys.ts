import type { SealedNote } from '../../domain/defineEvent.js';
import type { Recorded } from '../../domain/events.js';
import { groupNote } from '../../domain/groups/groupEvents.js';
import { groupKeyOwner } from '../../domain/ids.js';
import { CipherError, type DataKey, open } from '../../vault/dataKeys.js';
import { MismatchError } from './report.js';

/** What the log says of the key of a group. */
export interface GroupKeyUse {
  /** The newest name, which the key must open. */
  readonly name?: SealedNote;
  /** The offset of the event by which the last member left. */
  readonly ended?: number;
}

/** The owner of the key of the group that an event seals with, or after which the key is destroyed. */
export function groupKeyIn({ type, data }: Recorded): string | undefined {
  if (type === 'GroupCreated' || type === 'GroupChanged' || (type === 'MemberLeft' && data.last))
    return groupKeyOwner(data.roomId);
  return undefined;
}

/** The use of a group's key after such an event. */
export function addGroupUse(use: GroupKeyUse = {}, { type, data, offset }: Recorded): GroupKeyUse {
  if (type === 'MemberLeft') return { ...use, ended: offset };
  if ((type === 'GroupCreated' || type === 'GroupChanged') && data.name !== undefined)
    return { ...use, name: groupNote(data.roomId, 'name', data.name) };
  return use;
}

/** Undefined if the sealed text does not open. */
export function openOr<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof CipherError) return undefined;
    throw error;
  }
}

interface FoundKey {
  readonly key: DataKey | 'destroyed' | undefined;
  readonly partition: number;
  /** The number of events after which keys had been destroyed when the check began. */
  readonly destroyed: number;
  /** The use by events behind the end of the check. */
  readonly late: GroupKeyUse | undefined;
}

/** Throws a `MismatchError` unless the vault has the key of a group that has members, and of no other. */
export function compareGroupKey(
  owner: string,
  { name, ended }: GroupKeyUse,
  { key, partition, destroyed, late }: FoundKey,
): void {
  const whose = owner.replace(':', ' ');
  if (key === undefined)
    throw new MismatchError({ what: `the vault has neither a key nor a tombstone of ${whose}` });
  if (key === 'destroyed') {
    if (ended !== undefined || late?.ended !== undefined) return;
    throw new MismatchError({
      what: `the key of ${whose} is destroyed, but the group has members`,
      partition,
    });
  }
  if (ended !== undefined) {
    if (ended >= destroyed) return;
    const what = `the key of ${whose} exists, but the last member has left`;
    throw new MismatchError({ what, partition, offset: ended });
  }
  if (name === undefined) return;
  if (openOr(() => open(key, name.sealed, name.context)) === undefined)
    throw new MismatchError({ what: `the key of ${whose} does not open the name`, partition });
}
