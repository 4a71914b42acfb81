import { expect } from 'chai';
import { applyChat, applyConnection } from '../../../packages/client/src/store/chatFolds.js';
import { applyAnswer, pushFolds } from '../../../packages/client/src/store/contractFolds.js';
import { applyPage } from '../../../packages/client/src/store/messageFolds.js';
import { applyOpening } from '../../../packages/client/src/store/roomStore.js';
import { viewRoom } from '../../../packages/client/src/store/snapshot.js';
import { EMPTY_STATE, type State } from '../../../packages/client/src/store/storeState.js';
import type { Happening } from '../../../packages/client/src/store/storeTypes.js';
import type { PushData, PushName } from '../../../packages/client/src/types.js';
import { chatOf, messageOf, person } from './story.js';

const [me, ada, ben] = [person('me'), person('ada'), person('ben')];
const roomId = 'the group';

/** A group with one message, open on this device. */
const group = (roomType: 'GROUP' | 'PRIVATE'): State => {
  const chat = {
    ...chatOf(roomId, [me, ada], []),
    roomType,
    members: 2,
    windows: [[1, null] as [number, null]],
  };
  const live = applyConnection(EMPTY_STATE, { state: 'live', user: me, resumed: false });
  return applyPage(applyChat(applyOpening(live, roomId), chat), roomId, [messageOf(roomId, ada, 1)]);
};
const push = <N extends PushName>(state: State, name: N, data: PushData<N>): State =>
  pushFolds[name]?.(state, data) ?? state;
const happenings = (state: State): readonly Happening[] => viewRoom(roomId)(state, undefined).happenings;

describe('what a store notes of a group', () => {
  const told = (state: State): State => {
    const joined = push(state, 'add member', { roomId, user: ben, role: 'member', by: 'ada', at: 1 });
    const raised = push(joined, 'change role', { roomId, userId: 'ben', role: 'admin', by: 'ada', at: 1 });
    const named = push(raised, 'change group', { roomId, name: 'Walk', by: 'ben', at: 2 });
    return push(named, 'remove member', { roomId, userId: 'ben', by: 'ben', at: 3 });
  };
  const all: readonly Happening[] = [
    { kind: 'joined', userId: 'ben', by: 'ada', at: 1 },
    { kind: 'role', userId: 'ben', role: 'admin', by: 'ada', at: 1 },
    { kind: 'changed', name: 'Walk', by: 'ben', at: 2 },
    { kind: 'left', userId: 'ben', by: 'ben', at: 3 },
  ];

  it('is who came and went and what was changed, in order, each once however often it is told', () => {
    expect(happenings(told(group('GROUP')))).to.deep.equal(all);
    expect(happenings(told(told(group('GROUP'))))).to.deep.equal(all);
  });

  it('is what this device did itself, behind the newest message that it knows', () => {
    const added = applyAnswer(
      group('GROUP'),
      'add members',
      { added: ['ben'], refused: [], revision: '' },
      { roomId, userIds: ['ben', 'stranger'] },
    );
    const removed = applyAnswer(added, 'remove member', { revision: '' }, { roomId, userId: 'ada' });
    expect(happenings(removed)).to.deep.equal([
      { kind: 'joined', userId: 'ben', by: 'me', at: 1 },
      { kind: 'left', userId: 'ada', by: 'me', at: 1 },
    ]);
  });

  it('is who came next as the owner, apart from whom an owner chose', () => {
    const next = { roomId, userId: 'ben', role: 'owner', by: 'ada', at: 1, inherited: true } as const;
    const { roomId: _, ...kept } = next;
    expect(happenings(push(group('GROUP'), 'change role', next))).to.deep.equal([{ kind: 'role', ...kept }]);
  });

  it('is nothing of a chat of two', () => {
    expect(happenings(told(group('PRIVATE')))).to.deep.equal([]);
  });

  it('has the names of all whom it names, also of who has left', () => {
    const { participants, named } = viewRoom(roomId)(told(group('GROUP')), undefined);
    expect(participants).to.deep.equal([me, ada]);
    expect(named).to.deep.equal([ada, ben]);
  });

  it('is bounded: the newest are kept', () => {
    let state = group('GROUP');
    for (let at = 1; at <= 600; at++) state = push(state, 'change group', { roomId, by: 'ada', at });
    expect(happenings(state)).to.have.length(500);
    expect(happenings(state).at(-1)?.at).to.equal(600);
  });
});
