import type { Recorded } from '../../src/domain/events.js';
import { parseStream } from '../../src/domain/ids.js';
import { GroupModel, reactionOf } from '../support/groupModel.js';
import type { Violation } from './history.js';
import type { PartitionLog } from './logRules.js';

/** A room as a model has it, which knows nothing of the deciders. A pair's room has two members and no admin. */
interface ModelledRoom {
  readonly model: GroupModel;
  readonly isGroup: boolean;
  /** The ids of all edits in the room. */
  readonly edits: Set<string>;
  /** False from a group's creation until its creator joins, of whom the model knows already. */
  isFounded: boolean;
}

const RULES = {
  actors: 'only members act in a room, and only on what they see',
  members: 'nobody joins twice or leaves twice, and windows begin and end behind the newest message',
  owner: 'a group always has an owner, and only admins remove others',
  edits: 'edits are of their sender, and their numbers have no hole',
  deleted: 'what is deleted stays deleted',
  reactions: 'each reaction changes something',
} as const;

/** Holds the events of each room against a model: members, edits, deletions and reactions. */
export function roomRules({ events }: PartitionLog): Violation[] {
  const rooms = new Map<string, ModelledRoom>();
  return events.flatMap(({ event }) => {
    if (event.type === 'RoomCreated' || event.type === 'GroupCreated') {
      const { roomId } = event.data;
      const isGroup = event.type === 'GroupCreated';
      const model = isGroup
        ? new GroupModel(roomId, event.data.settings.history, event.actor, [])
        : new GroupModel(roomId, 'all', event.data.members[0], [event.data.members[1]]);
      rooms.set(roomId, { model, isGroup, edits: new Set(), isFounded: !isGroup });
      return [];
    }
    const room = rooms.get(parseStream(event.stream).id);
    if (!room) return [];
    const broken = judge(room, event);
    apply(room, event);
    return broken.map((rule) => ({ rule: RULES[rule], what: `${event.type} ${JSON.stringify(event.data)}` }));
  });
}

type RuleName = keyof typeof RULES;

/** The rules that an event breaks in a room as it is before the event. */
function judge({ model, isGroup, edits, isFounded }: ModelledRoom, event: Recorded): RuleName[] {
  const { newest } = model;
  const broken = (rules: Partial<Record<RuleName, boolean>>): RuleName[] =>
    Object.entries(rules).flatMap(([rule, isKept]) => (isKept ? [] : [rule as RuleName])); // Its keys are names.
  const isAdmin = (user: string) => isGroup && ['owner', 'admin'].includes(model.roleOf(user) ?? '');
  switch (event.type) {
    case 'MessageSent':
    case 'MessagesRead':
      return broken({ actors: model.roleOf(event.actor) !== undefined });
    case 'MemberJoined': {
      const { userId, by, at, from, role } = event.data;
      if (!isFounded)
        return broken({ owner: model.isLastOwner(userId) && userId === by && role === 'owner' });
      const isPlaced = at === newest && from === (model.history === 'all' ? 1 : newest + 1);
      return broken({
        actors: model.roleOf(by) !== undefined,
        members: isPlaced && model.roleOf(userId) === undefined,
      });
    }
    case 'MemberLeft': {
      const { userId, by, upTo } = event.data;
      const isAllowed = by === userId || (isAdmin(by) && model.roleOf(userId) !== 'owner');
      return broken({
        members: model.roleOf(userId) !== undefined && upTo === newest,
        owner:
          (isAllowed || model.roleOf(by) === 'owner') &&
          (!model.isLastOwner(userId) || model.members.length === 1),
      });
    }
    case 'MemberRoleChanged': {
      const { userId, by, role } = event.data;
      return broken({
        members: model.roleOf(userId) !== undefined,
        owner: model.roleOf(by) === 'owner' && (role === 'owner' || !model.isLastOwner(userId)),
      });
    }
    case 'MessageEdited': {
      const { seq, messageId, rev, editId } = event.data;
      const said = model.said[seq - 1];
      return broken({
        actors: model.canSee(event.actor, seq) && said?.messageId === messageId,
        edits: said?.senderId === event.actor && rev === said.texts.length && !edits.has(editId),
        deleted: said?.deletedBy === undefined,
      });
    }
    case 'MessageDeleted': {
      const { seq, messageId, senderId, by } = event.data;
      const said = model.said[seq - 1];
      const isAllowed = by === senderId || isAdmin(by);
      return broken({
        actors: model.canSee(by, seq) && said?.messageId === messageId && isAllowed,
        deleted: said?.deletedBy === undefined && said?.senderId === senderId,
      });
    }
    case 'ReactionChanged': {
      const { seq, messageId, emoji, on } = event.data;
      const said = model.said[seq - 1];
      return broken({
        actors: model.canSee(event.actor, seq) && said?.messageId === messageId,
        deleted: said?.deletedBy === undefined,
        reactions: said?.reactions.has(reactionOf(emoji, event.actor)) !== on,
      });
    }
    default:
      return [];
  }
}

function apply(room: ModelledRoom, event: Recorded): void {
  const { model, edits } = room;
  if ('seq' in event.data && event.type !== 'MessageSent' && !model.said[event.data.seq - 1]) return;
  switch (event.type) {
    case 'MessageSent':
      model.send(event.actor, event.data.messageId, event.data.text);
      return;
    case 'MemberJoined':
      room.isFounded = true;
      return model.join([event.data.userId]);
    case 'MemberLeft':
      if (model.roleOf(event.data.userId) !== undefined) model.leave(event.data.userId);
      return;
    case 'MemberRoleChanged':
      return model.setRole(event.data.userId, event.data.role);
    case 'MessageEdited':
      edits.add(event.data.editId);
      return model.edit(event.data.seq, event.data.text);
    case 'MessageDeleted':
      return model.delete(event.data.seq, event.data.by);
    case 'ReactionChanged':
      return model.react(event.data.seq, event.actor, event.data);
    default:
      return;
  }
}
