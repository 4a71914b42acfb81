import type { Chat, User } from '../domain/contract.js';
import type { Recorded } from '../domain/events.js';
import type { RoomId, UserId } from '../domain/ids.js';
import { type Change, changeOf, openedMessage } from '../domain/pushes.js';
import type { Cursors, Vector } from './cursor.js';
import type { Hub } from './hub.js';
import { pushText, textFrame } from './protocol.js';
import type { Ring } from './ring.js';

/** What a commit's pushes are joined with. */
export interface Joined {
  readonly users: ReadonlyMap<UserId, User>;
  /** By sealed text; null is erased. */
  readonly texts: ReadonlyMap<string, string | null>;
}

export interface DeliveryDeps {
  readonly hub: Hub;
  readonly ring: Ring;
  readonly cursors: Cursors;
  /** A message ends its sender's typing, without a push of its own. */
  readonly onMessage: (room: RoomId, sender: UserId) => void;
}

type StoredChange = Exclude<Change, { push: 'get online info' }>;

/** Hands what an event means to the connections it concerns; each push is serialised once, however many receive it. */
export class Delivery {
  readonly #deps: DeliveryDeps;

  constructor(deps: DeliveryDeps) {
    this.#deps = deps;
  }

  /** `vector`: the node's, this event included. */
  deliver(event: Recorded, vector: Vector, joined: Joined): void {
    const change = changeOf(event);
    if (change?.push === 'get online info') this.#presence(event, change);
    else if (change) this.#stored(event, change, vector, joined);
  }

  #presence({ partition, offset }: Recorded, change: Change & { push: 'get online info' }): void {
    const { subject: recipientId, isOnline, lastSeen } = change;
    let text: string | undefined;
    for (const user of this.#deps.hub.watchersOf(recipientId)) {
      text ??= pushText('get online info', JSON.stringify({ recipientId, isOnline, lastSeen }));
      for (const connection of this.#deps.hub.connectionsOf(user))
        if (connection.session) {
          connection.saw(partition, offset + 1);
          connection.sendText(text);
        }
    }
  }

  #stored(event: Recorded, change: StoredChange, vector: Vector, joined: Joined): void {
    const { hub, ring, cursors } = this.#deps;
    const { partition, offset } = event;
    if (change.push === 'add friend') hub.acquaint(...change.members);
    if (change.push === 'send message') {
      const [a, b] = change.to;
      if (change.message.seq === 1 && a !== undefined && b !== undefined) hub.acquaint(a, b);
      this.#deps.onMessage(change.room, change.message.senderId);
    }
    // What concerns nobody here is not even serialised.
    if (!change.to.some((user) => ring.hosts(user))) return;
    const cursor = cursors.live(vector);
    const room = 'room' in change ? change.room : undefined;
    const source = hub.sourceOf(event.commandId);
    const deliver = (to: readonly UserId[], data: string, shows: readonly UserId[] = []) => {
      const frame = textFrame(pushText(change.push, data, cursor));
      for (const user of to)
        for (const connection of hub.connectionsOf(user)) {
          if (connection === source || !connection.hears(room)) continue;
          connection.saw(partition, offset + 1);
          connection.push(frame);
        }
      const mark = change.push === 'read messages' ? { mark: `${change.room}/${change.userId}` } : {};
      ring.add({ partition, offset, to, shows, frame, ...mark });
    };
    switch (change.push) {
      case 'send message':
        return deliver(
          change.to,
          `{"message":${JSON.stringify(openedMessage(change.message, joined.texts.get(change.message.text) ?? null))}}`,
          [change.message.senderId],
        );
      case 'read messages':
        return deliver(
          change.to,
          JSON.stringify({ roomId: change.room, userId: change.userId, upTo: change.upTo }),
        );
      case 'erase user':
        return deliver(change.to, JSON.stringify({ roomId: change.room, userId: change.userId }));
      case 'init chat':
        return deliver(change.to, JSON.stringify({ room: newChat(change, joined.users) }), change.members);
      case 'add friend': {
        const [a, b] = change.members;
        deliver([a], JSON.stringify({ friend: joined.users.get(b) }), [b]);
        deliver([b], JSON.stringify({ friend: joined.users.get(a) }), [a]);
      }
    }
  }
}

/** The chat as it is shown when it opens: always before its first message. */
function newChat(change: Change & { push: 'init chat' }, users: ReadonlyMap<UserId, User>): Chat {
  const { room: roomId, members, createdAt } = change;
  return {
    roomId,
    roomType: 'PRIVATE',
    participants: members.flatMap((user) => users.get(user) ?? []),
    lastMessage: null,
    unread: 0,
    readUpTo: Object.fromEntries(members.map((user) => [user, 0])),
    createdAt,
  };
}
