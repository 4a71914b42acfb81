import { decodeEvents } from '../../src/cluster/bus.js';
import type { EventType } from '../../src/domain/events.js';
import { checkCommit, emptyHead } from '../../src/log/commit.js';
import type { Commit } from '../../src/log/log.js';
import { fromDocument } from '../../src/log/mongoLog.js';
import type { Stored } from './database.js';
import type { Violation } from './history.js';
import { type Durable, groupBy } from './streams.js';

/** A stored partition. */
export interface PartitionLog {
  readonly commits: readonly Commit[];
  readonly events: readonly Durable[];
}

export const readLog = (log: readonly (readonly Stored[])[]): PartitionLog[] =>
  log.map((stored) => {
    const commits = stored.map(({ document }) => fromDocument(document));
    const events = stored.flatMap(
      ({ at }, i) => decodeEvents(commits[i] as Commit).map((event) => ({ event, at })), // One for each stored commit.
    );
    return { commits, events };
  });

/**
 * Each partition is one chain without a hole. Epochs only grow, and only a writer that has fenced appends.
 */
export function chainRules({ commits }: PartitionLog, partition: number): Violation[] {
  let head = emptyHead(partition);
  for (const commit of commits) {
    const { position, epoch, leaves } = commit;
    const where = `commit ${position} of partition ${partition}`;
    if (leaves.length === 0 && epoch <= head.epoch)
      return [{ rule: 'a fence has an epoch above all before', what: `${where} has epoch ${epoch}` }];
    if (leaves.length > 0 && epoch !== head.epoch)
      return [
        { rule: 'only who has fenced writes', what: `${where} is of epoch ${epoch}, not ${head.epoch}` },
      ];
    try {
      head = checkCommit(head, commit);
    } catch (error) {
      return [{ rule: 'a partition is one chain', what: String(error) }];
    }
  }
  return [];
}

/** Events of commands that ask for a state: a repeat has an effect if another command has changed it meanwhile. */
const STATES: ReadonlySet<EventType> = new Set<EventType>([
  ...(['MessagesRead', 'ReactionChanged'] as const),
  ...(['MemberJoined', 'MemberLeft', 'MemberRoleChanged'] as const),
]);

/**
 * Versions and sequence numbers have no hole. No message is stored twice, and no command takes effect twice.
 */
export function streamRules({ events }: PartitionLog): Violation[] {
  const violations: Violation[] = [];
  const last = new Map<string, number>();
  const ids = new Set<string>();
  const follows = (rule: string, of: string, value: number) => {
    if (value !== (last.get(`${rule} ${of}`) ?? 0) + 1)
      violations.push({ rule, what: `${of} goes on with ${value}` });
    last.set(`${rule} ${of}`, value);
  };
  for (const { event } of events) {
    follows('versions have no hole', event.stream, event.version);
    if (event.type !== 'MessageSent') continue;
    const { roomId, messageId, seq } = event.data;
    follows('sequence numbers have no hole', roomId, seq);
    const id = `${roomId}/${messageId}`;
    if (ids.has(id)) violations.push({ rule: 'no message is there twice', what: id });
    ids.add(id);
  }
  for (const [id, made] of groupBy(events, ({ event }) => event.commandId))
    if (new Set(made.map(({ at }) => at)).size > 1 && !made.every(({ event }) => STATES.has(event.type)))
      violations.push({ rule: 'no command takes effect twice', what: id });
  return violations;
}
