import { expect } from 'chai';
import fc from 'fast-check';
import { type AuditKeys, openEvents } from '../../src/audit/events/transcript.js';
import { commandOf } from '../../src/cluster/forwarding.js';
import { decodeLeaf, encodeEvent, knownTypes, typeOfLeaf } from '../../src/domain/codec.js';
import { type Command, type CommandKind, describeCommand } from '../../src/domain/commands.js';
import { type PushName, pushes, requests } from '../../src/domain/contract.js';
import { isStoredPush } from '../../src/domain/defineEvent.js';
import { declarationOf, eventTypes, isFor, pushesOf, sealedTextsOf } from '../../src/domain/events.js';
import { declaredCommands, declaredEvents, declaredPushes, eventTopics } from '../../src/domain/features.js';
import { roomIdOf } from '../../src/domain/ids.js';
import { seal } from '../../src/vault/dataKeys.js';
import { roomKeysId, sealText } from '../../src/vault/textKeys.js';
import { membersOf } from '../projections/models/expectedChanges.js';
import { scripts } from '../projections/models/scripts.js';
import { newRoomKeys } from '../support/fakeVault.js';
import { runs } from '../support/lanes.js';

const [ada, bob] = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b'];
const roomId = roomIdOf(ada, bob);
const groupId = '22222222-2222-4222-8222-222222222222';
const messageId = '11111111-1111-4111-8111-111111111111';

/** One command of each kind: a kind that is missing here does not compile. */
const samples: { readonly [K in CommandKind]: Extract<Command, { kind: K }> } = {
  'register user': { kind: 'register user', userId: ada, username: 'ada', backgroundColor: '#112233' },
  'change profile': {
    kind: 'change profile',
    userId: ada,
    displayName: 'Ada L.',
    about: null,
    status: 'here',
  },
  'suspend user': { kind: 'suspend user', userId: ada, by: bob, reason: 'spam' },
  'restore user': { kind: 'restore user', userId: ada, by: 'system', reason: 'a mistake' },
  'administer user': { kind: 'administer user', userId: ada, by: bob, action: 'erasure' },
  'go online': { kind: 'go online', userId: ada },
  'go offline': { kind: 'go offline', userId: ada, lastSeen: '2026-01-02T03:04:05.678Z' },
  'erase user': { kind: 'erase user', userId: ada },
  'erase member': { kind: 'erase member', roomId, userId: ada },
  'give role': { kind: 'give role', userId: ada, role: 'moderator' },
  'take role': { kind: 'take role', userId: ada, role: 'admin' },
  'record audit read': { kind: 'record audit read', userId: ada, resource: 'room', query: { at: '3' } },
  'add friend': { kind: 'add friend', actor: ada, friendId: bob },
  'remove friend': { kind: 'remove friend', actor: ada, friendId: bob },
  'accept chat': { kind: 'accept chat', actor: ada, roomId },
  'block user': { kind: 'block user', actor: ada, userId: bob, block: true },
  'change preferences': { kind: 'change preferences', actor: ada, visible: false },
  'init chat': { kind: 'init chat', actor: ada, friendId: bob },
  'send message': {
    ...{ kind: 'send message', actor: ada, roomId, messageId, message: 'Hi', replyTo: messageId },
    ...{ mentions: [bob], data: JSON.parse('{"of":["any",{"kind":1}],"__proto__":"too"}') },
  },
  'remove message': { kind: 'remove message', roomId, messageId },
  'delete message': { kind: 'delete message', actor: ada, roomId, messageId },
  'edit message': {
    ...{ kind: 'edit message', actor: ada, roomId, messageId, editId: ada },
    ...{ message: 'Ho', mentions: ['all'] },
  },
  react: { kind: 'react', actor: ada, roomId, messageId, emoji: '👍', on: true },
  'change chat': {
    ...{ kind: 'change chat', actor: ada, roomId, seq: 3, archived: true, mutedUntil: null },
    before: { mutedUntil: '2026-01-02T03:04:05.678Z', pinned: false, archived: false },
  },
  'pin message': { kind: 'pin message', actor: ada, roomId, messageId, on: false },
  'find messages': { kind: 'find messages', actor: ada, roomId, messageIds: [messageId] },
  'delete reported message': { kind: 'delete reported message', roomId, messageId, by: bob },
  'record report': {
    ...{ kind: 'record report', actor: ada, reportId: messageId, roomId, messageIds: [messageId], seqs: [1] },
    ...{ evidence: [{ seq: 1, senderId: bob }], userId: bob, category: 'spam', note: 'Buy!' },
  },
  'record decision': {
    ...{ kind: 'record decision', reporter: ada, reportId: messageId, by: bob, note: 'Spam' },
    decision: { delete: [messageId], suspend: true },
  },
  'set subscription': {
    ...{
      kind: 'set subscription',
      policyId: messageId,
      subscriptionId: 'a',
      url: 'https://a.example/',
      secret: 1,
      by: ada,
    },
    ...{ types: ['MessageSent'], rooms: [roomId], batch: 5, paused: true, removed: true },
  },
  'seek subscription': {
    ...{
      kind: 'seek subscription',
      policyId: messageId,
      subscriptionId: 'a',
      to: 'now',
      cursor: 'L',
      by: ada,
    },
  },
  'record history': { kind: 'record history', policyId: messageId, history: ada, generation: 1 },
  'add key': { kind: 'add key', policyId: messageId, keyId: ada, scopes: ['users', 'events'] },
  'revoke key': { kind: 'revoke key', policyId: messageId, keyId: ada, by: 'system', via: bob },
  'record host read': { kind: 'record host read', userId: bob, query: { limit: '5' }, via: bob },
  'link identity': { kind: 'link identity', userId: ada, subject: '4711' },
  'put group': {
    ...{ kind: 'put group', roomId: groupId, name: 'All', about: 'of us', whoAdds: 'admins', via: bob },
    members: [{ userId: ada, role: 'owner' }, { userId: bob }],
  },
  'drop member': { kind: 'drop member', roomId: groupId, userId: bob },
  'delete for sender': { kind: 'delete for sender', roomId, messageId },
  'create group': {
    kind: 'create group',
    actor: ada,
    roomId: groupId,
    name: 'A',
    memberIds: [bob],
    history: 'all',
  },
  'change group': { kind: 'change group', actor: ada, roomId: groupId, about: 'B', whoSends: 'admins' },
  'add members': { kind: 'add members', actor: ada, roomId: groupId, userIds: [bob] },
  'remove member': { kind: 'remove member', actor: ada, roomId: groupId, userId: bob },
  'leave group': { kind: 'leave group', actor: ada, roomId: groupId },
  'change role': { kind: 'change role', actor: ada, roomId: groupId, userId: bob, role: 'admin' },
  'read messages': { kind: 'read messages', actor: ada, roomId, upTo: 3, hidden: true },
};

const unique = (names: readonly string[]) => expect(new Set(names).size).to.equal(names.length);

describe('the declarations', () => {
  it('name each event, command, request and push once', () => {
    unique(declaredEvents.map(({ type }) => type));
    unique(declaredCommands.map(({ kind }) => kind));
    unique(declaredPushes.map(({ name }) => name));
    expect(Object.keys(requests)).to.have.length(new Set(Object.keys(requests)).size);
    expect(knownTypes).to.include.members([...eventTypes]);
    expect([...eventTopics.keys()]).to.have.members([...eventTypes]);
  });

  it('name the id of each kind of stream by the kind, as pages and other programs derive it', () => {
    for (const { stream } of declaredEvents) expect(stream.idField).to.equal(`${stream.kind}Id`);
  });

  it('let every command reach another node as it is, and no field that nobody knows', () => {
    expect(Object.keys(samples)).to.have.members(declaredCommands.map(({ kind }) => kind));
    for (const command of Object.values(samples)) {
      expect(commandOf(JSON.parse(JSON.stringify(command)))).to.deep.equal(command);
      expect(commandOf({ ...command, ofANewerVersion: 1 })).to.deep.equal(command);
      expect(describeCommand(command).stream).to.match(/^(user|room|policy):[0-9a-f-]{36}$/);
      expect(describeCommand(command).bytes).to.be.at.least(1024);
    }
    expect(() => commandOf({ kind: 'from a newer version' })).to.throw(/does not know/);
  });

  it('give every client command a request of its name, with a note for the documents', () => {
    for (const declared of declaredCommands)
      if ('request' in declared) expect(requests[declared.kind as 'send message']).to.equal(declared.request);
    for (const { name, note } of Object.values(requests)) expect(note, name).to.match(/\.$/);
    for (const { name, note } of declaredPushes) expect(note, name).to.match(/\.$/);
  });

  it('describe what is stored: every event of any history is one line, one leaf and fits its schema', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(scripts, ({ world }) => {
        for (const event of world.events) {
          seen.add(event.type);
          const { data, line } = declarationOf(event.type);
          expect(data.parse(event.data)).to.deep.equal(event.data);
          const text = line(event, { who: (id) => `<${id}>`, quoted: (value) => JSON.stringify(value) });
          expect(text).to.match(/^\S.*\S$/);
          const { leaf, position: _, ...recorded } = event;
          expect(decodeLeaf(encodeEvent(event), event.partition, event.offset)).to.deep.equal(recorded);
          expect(leaf).to.equal(encodeEvent(event));
          expect(typeOfLeaf(leaf)).to.equal(event.type);
        }
      }),
      { numRuns: runs(50) },
    );
    expect([...seen]).to.include.members(['UserRegistered', 'FriendAdded', 'ChatOpened', 'MessageSent']);
  });

  it('push under declared names only, and to one user at most one stored push an event', () => {
    fc.assert(
      fc.property(scripts, ({ world, users }) => {
        for (const event of world.events) {
          const made = pushesOf(event, { members: membersOf(world.events, event.stream) });
          for (const { name } of made) expect(pushes).to.have.property(name);
          const stored = made.filter(isStoredPush);
          for (const { name } of stored) expect(pushes[name as PushName].isStored, name).to.equal(true);
          // Two would share one cursor: a client cut off between them would lose the second.
          for (const user of users)
            expect(stored.filter((push) => isFor(user, push, event.offset, [])).length).to.be.at.most(1);
        }
      }),
      { numRuns: runs(50) },
    );
  });

  it('seal fields of an event, which auditors see opened, and as null once their keys are destroyed', async () => {
    const key = Buffer.alloc(32, 7);
    const roomKeys = newRoomKeys();
    const place = { partition: 0, offset: 0, stream: `user:${ada}`, version: 1 } as const;
    const of = { actor: ada, recordedAt: '2026-01-02T03:04:05.678Z', commandId: messageId } as const;
    const values: Readonly<Record<string, object>> = {
      UserRegistered: { userId: ada, username: '', backgroundColor: '#112233' },
      IdentityLinked: { userId: ada, subject: '' },
      UserSuspended: { userId: ada, by: ada, reason: '' },
      UserRestored: { userId: ada, by: ada, reason: '' },
      ProfileChanged: { userId: ada, displayName: '', about: '', status: '', locale: '' },
      MessageSent: { roomId, messageId, seq: 1, text: '', data: '{}' },
      MessageEdited: { roomId, messageId, seq: 1, editId: ada, rev: 1, text: '' },
      MessageReported: { reportId: messageId, userId: bob, category: 'spam', note: '' },
      ReportDecided: { reportId: messageId, by: bob, decision: {}, note: '' },
      GroupCreated: { roomId: groupId, name: '', about: '', settings: {}, named: 0 },
      GroupChanged: { roomId: groupId, name: '', about: '', at: 0 },
    };
    for (const { type } of declaredEvents) {
      const { sealed } = declarationOf(type);
      if (!sealed) continue;
      const data = values[type];
      if (!data)
        throw new Error(
          `this test lacks a value of ${type}, which seals ${sealed.map(({ field }) => field)}`,
        );
      // The values are those of each type's own data.
      const plain = { ...place, ...of, type, data } as never as Parameters<typeof sealedTextsOf>[0];
      const fields = sealedTextsOf(plain);
      expect(fields.map(({ field }) => field)).to.deep.equal(sealed.map(({ field }) => field));
      const texts = fields.map(({ field, context, place: textPlace }) => {
        const text = textPlace
          ? sealText(roomKeys, textPlace, 'secret', context)
          : seal(key, 'secret', context);
        return [field, text] as const;
      });
      const event = { ...plain, data: { ...data, ...Object.fromEntries(texts) } } as typeof plain;
      const keysOf = (isErased: boolean): AuditKeys => ({
        getKeys: async (owners) =>
          new Map(owners.map((owner) => [owner, isErased ? 'destroyed' : key] as const)),
        getRoomKeys: async (rooms) =>
          new Map(rooms.map((room) => [roomKeysId(room), isErased ? 'destroyed' : roomKeys] as const)),
      });
      const [open] = await openEvents(keysOf(false), [event]);
      const [erased] = await openEvents(keysOf(true), [event]);
      expect(erased).to.have.property('erased', true);
      for (const { field } of fields) {
        expect(open?.data).to.have.property(field, 'secret');
        expect(erased?.data).to.have.property(field, null);
      }
    }
  });
});
