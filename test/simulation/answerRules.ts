import { isDeepStrictEqual } from 'node:util';
import { ParleyError } from '../../src/base/errors.js';
import { type Command, type CommandKind, decideCommand, describeCommand } from '../../src/domain/commands.js';
import { changeMessage, type Recorded } from '../../src/domain/events.js';
import type { MessageRef } from '../../src/domain/ids.js';
import { sealedMessage } from '../../src/domain/messages/messages.js';
import { partitionOf } from '../../src/log/log.js';
import { earlierMessage, factsOf } from '../support/facts.js';
import type { Attempt, History, Violation } from './history.js';
import type { PartitionLog } from './logRules.js';
import { type Durable, groupBy, type Snapshot, type StreamHistory, streamOf } from './streams.js';

/** An attempt whose answer claims something about the state, with its concurrent attempts. */
interface Told {
  readonly attempt: Attempt;
  readonly stream: StreamHistory;
}

/** The commands that ask for a state: a repeat is answered with what is true then, which may be a refusal. */
const ASK_FOR_STATE: ReadonlySet<CommandKind> = new Set<CommandKind>([
  ...(['edit message', 'delete message', 'react'] as const),
  ...(['add members', 'remove member', 'leave group', 'change role'] as const),
]);
/** For decisions that made no event: every window for edits and deletions is open. */
const BEFORE_ALL = new Date(0).toISOString();

/**
 * What clients were told is true. An answer with events rests on the very state before them; one without, and a
 * refusal, on a state that was the durable one at some moment between asking and being told. What was told to have
 * had no effect has none. Commands of one connection on one room take effect in the order in which they were asked.
 */
export function answerRules(
  { attempts }: Pick<History, 'attempts'>,
  log: readonly PartitionLog[],
): Violation[] {
  const texts = new Map(attempts.flatMap(({ command, commandId }) => textsOf(command, commandId)));
  const byStream = groupBy(
    log.flatMap(({ events }) => events).map(({ event, at }) => ({ event: opened(event, texts), at })),
    ({ event }) => event.stream,
  );
  return [...groupBy(attempts, ({ command }) => describeCommand(command).stream)].flatMap(([name, asked]) => {
    const stream = streamOf(name, byStream.get(name) ?? []);
    const told = asked.map((attempt) => ({ attempt, stream }));
    const partition = partitionOf(name, log.length);
    return [
      ...told.flatMap((each) => [...effectRules(each, partition, log[partition]), ...truthRules(each)]),
      ...[...groupBy(told, ({ attempt }) => attempt.connection).values()].flatMap(orderRules),
    ];
  });
}

/** The text that an event of the command seals. */
function textsOf(command: Command, commandId: string): (readonly [string, string])[] {
  if (command.kind === 'send message' || command.kind === 'edit message')
    return [[commandId, command.message]];
  return command.kind === 'create group' ? [[commandId, command.name]] : [];
}

/** The event with its text as its command had it. */
function opened(event: Recorded, texts: ReadonlyMap<string, string>): Recorded {
  const text = texts.get(event.commandId) ?? '';
  if (event.type === 'MessageSent') return { ...event, data: { ...event.data, text } };
  if (event.type === 'MessageEdited') return { ...event, data: { ...event.data, text } };
  if (event.type === 'GroupCreated') return { ...event, data: { ...event.data, name: text } };
  return event;
}

function effectRules(
  { attempt, stream }: Told,
  partition: number,
  log: PartitionLog | undefined,
): Violation[] {
  const { outcome, answeredAt = 0, askedAt, commandId } = attempt;
  const made = stream.made.get(commandId) ?? [];
  const what = describe(attempt);
  if (made.some(({ at }) => at < askedAt)) return [{ rule: 'an effect comes after its command', what }];
  if (outcome === undefined || outcome === 'lost') return [];
  if ('code' in outcome) {
    if (outcome.code === 'internal') return [{ rule: 'nothing fails inside', what }];
    const isState = isDecided(attempt) && ASK_FOR_STATE.has(attempt.command.kind);
    if (outcome.code !== 'unknown' && made.length > 0 && !isState)
      return [{ rule: 'what is refused has no effect', what: `${what} made ${made.length} events` }];
    return [];
  }
  const durableThen = made.filter(({ at }) => at <= answeredAt);
  if (made.length > 0 && durableThen.length === 0)
    return [{ rule: 'only what is durable is acknowledged', what }];
  const { moment } = outcome.answer;
  const durable = log?.events.filter(({ at }) => at <= answeredAt).length ?? 0;
  // Of repeated effects, the first one.
  const own = made.filter(({ at }) => at === made[0]?.at);
  const size = own.reduce((_, { event }) => event.offset + 1, 0);
  if (moment.partition !== partition || moment.size > durable || moment.size < size)
    return [{ rule: 'the moment of an answer is durable, and has its effect', what }];
  return [];
}

/**
 * Of one connection and one room: no command takes effect after a later command was answered or had its effect.
 * Exception: the earlier command was first refused, and the refusal was lost. Both commands were sent again.
 */
function orderRules(told: readonly Told[]): Violation[] {
  const violations: Violation[] = [];
  for (const [i, each] of told.entries()) {
    const { attempt, stream } = each;
    const [first] = stream.made.get(attempt.commandId) ?? [];
    if (!first) continue;
    const { outcome } = attempt;
    const isUnknown = typeof outcome === 'object' && 'code' in outcome && outcome.code === 'unknown';
    const overtaking = told.slice(i + 1).find((later) => {
      const [made] = stream.made.get(later.attempt.commandId) ?? [];
      const { answeredAt } = later.attempt;
      const isAnswered = isDecided(later.attempt) && answeredAt !== undefined && answeredAt < first.at;
      const isBefore = made !== undefined && made.event.version < first.event.version;
      // An attempt that may have had an effect was told so.
      return (isAnswered && !isUnknown) || (isBefore && alwaysHadEffect(each, made.event.version));
    });
    if (overtaking)
      violations.push({
        rule: 'commands of a connection on a room take effect in their order',
        what: `${describe(attempt)}, took effect at ${first.at.toFixed(3)}; before it, ${describe(overtaking.attempt)}`,
      });
  }
  return violations;
}

/**
 * Whether the command would have had an effect in every state from the request until its stream had this
 * version.
 */
function alwaysHadEffect({ attempt, stream }: Told, version: number): boolean {
  const { snapshots } = stream;
  return snapshots.slice(0, version).every((snapshot, i) => {
    const until = snapshots[i + 1]?.at ?? Number.POSITIVE_INFINITY;
    if (until < attempt.askedAt) return true;
    const decision = decideAt(attempt.command, stream, snapshot, BEFORE_ALL);
    return 'events' in decision && decision.events.length > 0;
  });
}

/** Whether the answer came from a decider. */
const isDecided = ({ outcome }: Attempt): boolean =>
  outcome !== undefined &&
  outcome !== 'lost' &&
  !('code' in outcome && ['overloaded', 'unknown', 'internal'].includes(outcome.code));

/** The decider's answer must be true. */
function truthRules(told: Told): Violation[] {
  const { attempt, stream } = told;
  if (!isDecided(attempt)) return [];
  const { askedAt, answeredAt = 0, commandId } = attempt;
  const { snapshots } = stream;
  // Usually one: a command has a second effect only if an answer was lost and the command then has another meaning.
  const effects = [...groupBy(stream.made.get(commandId) ?? [], ({ at }) => at).values()];
  for (const made of effects) {
    const base = snapshots[(made[0]?.event.version ?? 0) - 1];
    if (base && isDecidedFrom(told, base, made)) return [];
  }
  // The command had no effect, or none the second time.
  const least = effects[0]?.at(-1)?.event.version ?? 0;
  const isTrue = snapshots.slice(least).some((snapshot, i) => {
    const until = snapshots[least + i + 1]?.at ?? Number.POSITIVE_INFINITY;
    return snapshot.at <= answeredAt && until >= askedAt && isDecidedFrom(told, snapshot, []);
  });
  return isTrue ? [] : [{ rule: 'what is told was true at some moment meanwhile', what: describe(attempt) }];
}

/** Whether the decider would make these events and this answer in this state. */
function isDecidedFrom(
  { attempt: { command, outcome }, stream }: Told,
  snapshot: Snapshot,
  made: readonly Durable[],
): boolean {
  if (outcome === undefined || outcome === 'lost') return false;
  const decision = decideAt(command, stream, snapshot, made[0]?.event.recordedAt ?? BEFORE_ALL);
  if ('refused' in decision)
    return (
      'code' in outcome && decision.refused instanceof ParleyError && decision.refused.code === outcome.code
    );
  const events = made.map(({ event: { type, data } }) => ({ type, data }));
  const decided = decision.events.map(({ type, data }) => ({ type, data }));
  if ('code' in outcome || !isDeepStrictEqual(events, decided)) return false;
  if (outcome.answer.moment.size < snapshot.size) return false;
  const { moment: _, ...told } = outcome.answer;
  return isDeepStrictEqual(told, decision.answer);
}

function decideAt(command: Command, stream: StreamHistory, { version, state }: Snapshot, now: string) {
  // The message of this id as it was then, if it existed.
  const message = ({ messageId }: MessageRef) => {
    const sent = stream.messages.get(messageId);
    if (!sent || sent.version > version) return undefined;
    const changes = (stream.changes.get(messageId) ?? []).filter((event) => event.version <= version);
    const bodies = changes.flatMap(({ type, data }) => (type === 'MessageEdited' ? [data] : []));
    const then = changes.reduce((known, event) => changeMessage(known, event), sealedMessage(sent));
    return earlierMessage({ ...then, bodies });
  };
  return decideCommand<CommandKind>(command, state, factsOf({ now, message }));
}

const describe = ({ connection, commandId, command, outcome, askedAt, answeredAt }: Attempt): string =>
  `${connection} asked ${command.kind} (${commandId.slice(0, 8)}) at ${askedAt.toFixed(3)}, ` +
  `was told ${JSON.stringify(outcome)} at ${answeredAt?.toFixed(3)}`;
