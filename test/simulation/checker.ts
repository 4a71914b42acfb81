import { answerRules } from './answerRules.js';
import type { History, Viewed, Violation } from './history.js';
import { chainRules, type PartitionLog, readLog, streamRules } from './logRules.js';
import { roomRules } from './roomRules.js';
import { groupBy } from './streams.js';

/**
 * The longest time of a command: it waits, is sent at the last moment, and gets no answer. Includes errors of
 * clocks and timers.
 */
const LONGEST_MS = (5000 + 10_000 + 500) / 0.95;

/** Returns all promises that this history breaks. */
export function check(history: History): Violation[] {
  const failures = history.failures.map((what) => ({ rule: 'nothing fails', what }));
  const log = readLog(history.log);
  const broken = log.flatMap(chainRules);
  // An inconsistent log cannot be checked further.
  if (broken.length > 0) return [...broken, ...failures];
  return [
    ...failures,
    ...log.flatMap(streamRules),
    ...log.flatMap(roomRules),
    ...answerRules(history, log),
    ...viewRules(history),
    ...patienceRules(history),
    ...endRules(history, log),
  ];
}

/** Every process sees every commit once, in order, and only after it is stored. */
function viewRules({ views, log }: History): Violation[] {
  const seen = groupBy(views, ({ node, partition }) => `${node}, partition ${partition}`);
  return [...seen].flatMap(([who, own]) =>
    own.flatMap(({ partition, position, id, at }: Viewed, i) => {
      const stored = log[partition]?.[position - 1];
      const what = `${who}: position ${position} at ${at.toFixed(3)}`;
      if (position !== i + 1) return [{ rule: 'commits are seen once, in order and without a gap', what }];
      if (stored?.document.id !== id || stored.at > at)
        return [{ rule: 'only what is stored is seen', what }];
      return [];
    }),
  );
}

/** Every command is answered in time. */
const patienceRules = ({ attempts, pauses }: History): Violation[] =>
  attempts.flatMap(({ commandId, node, askedAt, answeredAt }) => {
    if (answeredAt === undefined) return [];
    const held = pauses.reduce((sum, pause) => (pause.node === node ? sum + pause.ms : sum), 0);
    const took = answeredAt - askedAt;
    if (took <= LONGEST_MS + held) return [];
    return [{ rule: 'every command is answered in time', what: `${commandId} took ${took.toFixed(0)} ms` }];
  });

/** After the last fault the system comes to rest. */
function endRules({ end }: History, log: readonly PartitionLog[]): Violation[] {
  const violations: Violation[] = [];
  if (end.unanswered > 0)
    violations.push({ rule: 'in the end every wish is answered', what: `${end.unanswered} are not` });
  const nodes = new Set(end.nodes.map(({ id }) => id));
  for (const [partition, { commits }] of log.entries()) {
    for (const { name, seen } of end.nodes)
      if (seen[partition] !== commits.length)
        violations.push({
          rule: 'in the end everybody has seen everything',
          what: `${name} has seen ${seen[partition]} of ${commits.length} commits of partition ${partition}`,
        });
    const owners = new Set(end.nodes.map(({ owners }) => owners[partition]));
    const [owner] = owners;
    if (owners.size !== 1 || owner === undefined || !nodes.has(owner))
      violations.push({
        rule: 'in the end every partition has one owner, whom all know',
        what: `partition ${partition}: ${[...owners].join(', ')}`,
      });
  }
  return violations;
}
