import { assertNever } from '../../../src/base/errors.js';
import type { Recorded } from '../../../src/domain/events.js';
import { GroupModel, reactionOf, type Seen, sayMessage, seenMessage } from '../../support/groupModel.js';
import type { Rule } from './checker.js';
import type { Change, Facts, GroupLog, Try } from './facts.js';

/** What happens in groups: members who come and go, edits, deletions and reactions. The log gives their order. */

/** What people wrote, by the id of the message or of its edit: the log has it sealed. */
type Texts = ReadonlyMap<string, string>;

const known = new WeakMap<Facts, Texts>();

function textsOf(facts: Facts): Texts {
  const found = known.get(facts);
  if (found) return found;
  const texts = new Map([...facts.said.values()].map(({ messageId, text }) => [messageId, text]));
  for (const { asked } of facts.changes)
    if (asked.request === 'edit message') texts.set(asked.data.editId, asked.data.message);
  known.set(facts, texts);
  return texts;
}

/** The group after its first `count` events. */
function modelOf(group: GroupLog, texts: Texts, count: number): GroupModel {
  const { roomId, history, owner, members } = group;
  const model = new GroupModel(
    roomId,
    history,
    owner,
    members.filter((member) => member !== owner),
  );
  for (const event of group.events.slice(0, count)) apply(model, event, texts);
  return model;
}

function apply(model: GroupModel, { type, actor, data }: Recorded, texts: Texts): void {
  // Such a log breaks another rule.
  if ('seq' in data && type !== 'MessageSent' && !model.said[data.seq - 1]) return;
  if (type === 'MessageSent') model.send(actor, data.messageId, texts.get(data.messageId) ?? '');
  if (type === 'MessageEdited') model.edit(data.seq, texts.get(data.editId) ?? '');
  if (type === 'MessageDeleted') model.delete(data.seq, data.by);
  if (type === 'ReactionChanged') model.react(data.seq, actor, data);
  // The first members are in the model already.
  if (type === 'MemberJoined') model.join([data.userId]);
  if (type === 'MemberLeft' && model.roleOf(data.userId) !== undefined) model.leave(data.userId);
}

/** The group as it may be seen at the end: after the events that were due, or after some or all that came later. */
function modelsOf(facts: Facts, group: GroupLog): [GroupModel, ...GroupModel[]] {
  const texts = textsOf(facts);
  const later = Array.from({ length: group.events.length - group.due }, (_, n) => group.due + n + 1);
  return [
    modelOf(group, texts, group.due),
    ...later.map((count): GroupModel => modelOf(group, texts, count)),
  ];
}

/** The groups whose log was read. */
const groupsOf = ({ groups }: Facts): GroupLog[] =>
  [...groups.values()].filter(({ events }) => events.length > 0);

const sentInLog: Rule = (facts) =>
  groupsOf(facts).flatMap(({ roomId, events }) => {
    const places = new Map<string, number[]>();
    for (const { type, data } of events)
      if (type === 'MessageSent')
        places.set(data.messageId, [...(places.get(data.messageId) ?? []), data.seq]);
    return [...facts.said.values()].flatMap(({ messageId, answer, ...said }) => {
      const seqs = places.get(messageId) ?? [];
      if (said.roomId !== roomId || !answer || (seqs.length === 1 && seqs[0] === answer.seq)) return [];
      return [`${messageId} was answered as seq ${answer.seq} of group ${roomId}, the log has ${seqs}`];
    });
  });

/** The events that a change may have made. */
function madeBy({ asked, userId }: Change, events: readonly Recorded[]): Recorded[] {
  return events.filter(({ type, data, actor }) => {
    switch (asked.request) {
      case 'edit message':
        return type === 'MessageEdited' && data.editId === asked.data.editId;
      case 'delete message':
        return type === 'MessageDeleted' && data.messageId === asked.data.messageId;
      case 'react':
        return type === 'ReactionChanged' && actor === userId && data.messageId === asked.data.messageId;
      case 'add members':
        return type === 'MemberJoined' && asked.data.userIds.includes(data.userId);
      case 'remove member':
        return type === 'MemberLeft' && data.userId === asked.data.userId;
      case 'leave group':
        return type === 'MemberLeft' && data.userId === userId;
      default:
        return assertNever(asked);
    }
  });
}

const changesInLog: Rule = (facts) =>
  facts.changes.flatMap((change) => {
    const { asked, answer } = change;
    const group = facts.groups.get(asked.data.roomId);
    if (!answer || !group || group.events.length === 0) return [];
    const made = madeBy(change, group.events);
    const what = `${change.device} was answered to ${JSON.stringify(asked.data)}`;
    switch (asked.request) {
      case 'edit message': {
        const [edited] = made;
        const rev = edited?.type === 'MessageEdited' ? edited.data.rev : Number.POSITIVE_INFINITY;
        // A repeat is answered with the message as it is then.
        return made.length === 1 && rev <= (answer.rev ?? 0) ? [] : [`${what}, the log has rev ${rev}`];
      }
      case 'delete message':
      case 'leave group':
        return made.length > 0 ? [] : [`${what}, the log has nothing of it`];
      case 'add members':
        return made.length > 0 || asked.data.userIds.every((user) => group.members.includes(user))
          ? []
          : [`${what}, the log has nothing of it`];
      case 'react':
      case 'remove member':
        // It may have been so already; the last reaction is looked at below.
        return [];
      default:
        return assertNever(asked);
    }
  });

const onceInLog: Rule = (facts) =>
  groupsOf(facts).flatMap(({ roomId, events }) => {
    const seen = new Set<string>();
    return events.flatMap(({ type, data }) => {
      if (type !== 'MessageEdited' && type !== 'MessageDeleted') return [];
      const key = type === 'MessageEdited' ? data.editId : data.messageId;
      const isTwice = seen.has(key);
      seen.add(key);
      return isTwice ? [`${type} of ${key} is twice in the log of group ${roomId}`] : [];
    });
  });

const hasEnded = ({ outcome }: Try<unknown>): boolean => outcome !== 'unknown';

/** A reaction that was answered when all others of the same user and emoji had ended. */
const lastReaction: Rule = (facts) => {
  const last = new Map<string, Change[]>();
  for (const change of facts.changes) {
    if (change.asked.request !== 'react') continue;
    const { messageId, emoji } = change.asked.data;
    const key = `${messageId} ${reactionOf(emoji, change.userId)}`;
    last.set(key, [...(last.get(key) ?? []), change]);
  }
  return [...last.values()].flatMap((changes) => {
    const newest = changes.at(-1);
    const group = newest && facts.groups.get(newest.asked.data.roomId);
    if (newest?.asked.request !== 'react' || !newest.answer || !group || group.events.length === 0) return [];
    const askedAt = newest.tries[0]?.asked.at ?? 0;
    const others = changes.slice(0, -1).flatMap(({ tries }) => tries);
    if (!others.every((each) => hasEnded(each) && each.doneAt < askedAt)) return [];
    const { messageId, emoji, on } = newest.asked.data;
    const said = modelsOf(facts, group)
      .at(-1)
      ?.said.find((one) => one.messageId === messageId);
    if (!said || said.deletedBy !== undefined) return [];
    const isOn = said.reactions.has(reactionOf(emoji, newest.userId));
    return isOn === on
      ? []
      : [`${newest.device} was answered ${emoji} ${on} to ${messageId}, which is ${isOn}`];
  });
};

const refusedNotInLog: Rule = (facts) =>
  facts.changes
    .filter(({ asked, tries }) => {
      return asked.request === 'edit message' && tries.every(({ outcome }) => outcome === 'refused');
    })
    .flatMap((change) => {
      const made = madeBy(change, facts.groups.get(change.asked.data.roomId)?.events ?? []);
      return made.length > 0 ? [`${JSON.stringify(change.asked.data)} was refused, but is in the log`] : [];
    });

/** Whoever is denied was no member at some time, or the message was deleted at some time. */
const denialsHaveReasons: Rule = (facts) =>
  facts.denials.flatMap(({ code, userId, roomId, request, messageId }) => {
    const group = facts.groups.get(roomId);
    if (!group || group.events.length === 0) return [];
    const { events, members } = group;
    const isDeleted = events.some(
      ({ type, data }) => type === 'MessageDeleted' && data.messageId === messageId,
    );
    const wasOut =
      !members.includes(userId) ||
      events.some(({ type, data }) => type === 'MemberLeft' && data.userId === userId);
    // The owner removes people who never came.
    const isReason = code === 'conflict' ? isDeleted : wasOut || request === 'remove member';
    return isReason
      ? []
      : [`${userId} was answered ${code} to ${request} in group ${roomId} without a reason`];
  });

const linesOf = (seen: readonly Seen[], isMember: boolean): string =>
  seen.map((one) => sayMessage(one, isMember)).join('\n');

const shownToMembers: Rule = (facts) =>
  groupsOf(facts).flatMap((group) => {
    const models = modelsOf(facts, group);
    return facts.shownAtEnd
      .filter(({ roomId }) => roomId === group.roomId)
      .flatMap(({ node, userId, messages }) => {
        const shown = messages?.map(seenMessage);
        const isRight = models.some((model) => {
          if (!shown || !model.wasEverIn(userId)) return shown === undefined && !model.wasEverIn(userId);
          const isMember = model.roleOf(userId) !== undefined;
          return linesOf(shown, isMember) === linesOf(model.seenBy(userId), isMember);
        });
        if (isRight) return [];
        const [is, due] = [shown ?? [], models[0].seenBy(userId)].map((seen) =>
          seen.map((one) => sayMessage(one, true)),
        );
        const first = due?.findIndex((line, n) => line !== is?.[n]) ?? -1;
        const at = first < 0 ? (due?.length ?? 0) : first;
        const what = shown ? `“${is?.[at]}”, not “${due?.[at]}”` : 'nothing';
        return [`${node} shows ${userId} of group ${group.roomId} ${what}`];
      });
  });

/** New messages of a group go to those who were members at their place; their own they know from the answer. */
const pushedToMembers: Rule = (facts) =>
  groupsOf(facts).flatMap((group) => {
    const models = modelsOf(facts, group);
    const due = models[0];
    const all = models.at(-1) ?? due;
    return [...facts.chains.values()].flatMap(({ device, userId, pushed }) => {
      const seqs = pushed.filter(({ roomId }) => roomId === group.roomId).map(({ seq }) => seq);
      const theirs = new Set(all.pushedTo(userId));
      const strange = seqs.filter((seq) => !theirs.has(seq));
      const missing = due
        .pushedTo(userId)
        .filter((seq) => !seqs.includes(seq) && facts.said.get(due.at(seq).messageId)?.device !== device);
      return [
        ...strange.map(
          (seq) => `${device} was pushed seq ${seq} of group ${group.roomId}, which is not theirs`,
        ),
        ...missing.map((seq) => `${device} was never pushed seq ${seq} of group ${group.roomId}`),
      ];
    });
  });

const toldToMembers: Rule = (facts) =>
  groupsOf(facts).flatMap((group) => {
    const all = modelsOf(facts, group).at(-1);
    return [...facts.chains.values()].flatMap(({ device, userId, told }) =>
      told
        .filter(({ roomId }) => roomId === group.roomId)
        .filter(({ told: what }) => {
          if (what.name === 'members') return !all?.wasEverIn(userId);
          return !all?.mayKnow(userId, what.name === 'edit message' ? what.message.seq : what.seq);
        })
        .map(
          (one) => `${device} was told of group ${group.roomId} what is not theirs: ${JSON.stringify(one)}`,
        ),
    );
  });

/** A device that only listens to groups knows each message that it was there for as it is now. */
const shownAsIs: Rule = (facts) => {
  const sent = [...facts.said.values()].filter(({ roomId }) => facts.groups.has(roomId));
  const acting = new Set([...sent, ...facts.changes].map(({ device }) => device));
  const listening = [...facts.chains.values()].filter(({ device }) => !acting.has(device));
  return groupsOf(facts).flatMap((group) => {
    const models = modelsOf(facts, group);
    return listening.flatMap(({ device, userId, shown }) =>
      models[0].pushedTo(userId).flatMap((seq) => {
        const seen = shown.get(`${group.roomId} ${seq}`);
        // That it was pushed is a rule of its own.
        if (!seen) return [];
        const isRight = models.some((model) => {
          if (!model.isInSince(userId, seq)) return true;
          const now = model.seenBy(userId).find((one) => one.seq === seq);
          return now !== undefined && sayMessage(now, true) === sayMessage(seen, true);
        });
        return isRight ? [] : [`${device} shows of group ${group.roomId} ${sayMessage(seen, true)}`];
      }),
    );
  });
};

export const groupRules: Readonly<Record<string, Rule>> = {
  'what was acknowledged in a group is in its log, in its place': sentInLog,
  'what was answered of a change is in the log': changesInLog,
  'an edit or a deletion is in the log once': onceInLog,
  'the last reaction that was answered holds': lastReaction,
  'an edit that was refused is not in the log': refusedNotInLog,
  'who is denied something in a group had left, or the message was deleted': denialsHaveReasons,
  'every node shows members what lies in their windows, as it is now': shownToMembers,
  'messages of a group are pushed to its members, and to nobody else': pushedToMembers,
  'what is said of a message is told to those who see it': toldToMembers,
  'a device shows each message of a group as it is now': shownAsIs,
};
