import { decodeLeaf } from '../events/codec.js';
import type { UserId } from '../events/ids.js';
import type { Recorded } from '../events/types.js';
import type { Commit } from '../log/log.js';
import type { CommitFrame } from './bus.js';

/** The commit as it goes out; `decoded` are its events, where they are at hand. */
export function commitFrame(commit: Commit, decoded?: readonly Recorded[]): CommitFrame {
  let events = decoded;
  let concerns: readonly UserId[] | undefined;
  let subjects: readonly UserId[] | undefined;
  return {
    ...commit,
    get events() {
      events ??= eventsOf(commit);
      return events;
    },
    get concerns() {
      concerns ??= [...new Set(this.events.flatMap(({ audience }) => audience))];
      return concerns;
    },
    get subjects() {
      subjects ??= subjectsOf(this.events);
      return subjects;
    },
  };
}

/** The commit's leaves, decoded. Throws `UnknownEventType`. */
export function eventsOf({ partition, firstOffset, leaves }: Commit): Recorded[] {
  return leaves.map((leaf, i) => decodeLeaf(leaf, partition, firstOffset + i));
}

function subjectsOf(events: readonly Recorded[]): UserId[] {
  const users = new Set<UserId>();
  for (const event of events)
    if (event.type === 'UserWentOnline' || event.type === 'UserWentOffline') users.add(event.data.userId);
  return [...users];
}
