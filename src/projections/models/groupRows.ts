import type { SealedMessage } from '../../domain/defineEvent.js';
import { changedBy, changeMessage, type Recorded } from '../../domain/events.js';
import type { Time } from '../../domain/fields.js';
import { type GroupSettings, type GroupTexts, settingsIn } from '../../domain/groups/groupState.js';
import { isGroupId, parseStream, type RoomId, type StreamName, streamOf } from '../../domain/ids.js';
import { sealedMessage } from '../../domain/messages/messages.js';
import type { Projection } from '../projection.js';
import type { Model, RowReader } from '../store/rowStore.js';

/** A group without its members, who have rows of their own: see `membershipRows.ts`. */
export interface GroupRow {
  readonly createdAt: Time;
  readonly texts: GroupTexts;
  readonly settings: GroupSettings;
  /** The number of members. */
  readonly members: number;
  readonly lastMessage: SealedMessage | null;
  /** The offset of the newest event that changed a message. A replay then shows messages as their rows are. */
  readonly changedAt: number | null;
  /** The `seq` of the newest message that mentions somebody; 0 if none does. */
  readonly lastMention: number;
  /** The ids and `seq`s of the pinned messages, in the order of pinning. */
  readonly pins: readonly (readonly [messageId: string, seq: number])[];
}

/** Groups; the key is the stream's name. The index `activity` has the time of each one's last message. */
export const groupsModel: Model<GroupRow> = {
  name: 'groups',
  version: 1,
  indexes: {
    activity: ({ key, value }) =>
      value.lastMessage ? { terms: [key], sort: Date.parse(value.lastMessage.sentAt) } : undefined,
  },
};

/** Whether a stream is that of a group. */
export function isGroupStream(stream: StreamName): boolean {
  const { kind, id } = parseStream(stream);
  return kind === 'room' && isGroupId(id);
}

/** Folds one row for each group, which has nothing that grows with its members. */
export const groupsProjection: Projection<GroupRow> = {
  model: groupsModel,
  keys: ({ stream }) => (isGroupStream(stream) ? [stream] : []),
  evolve(row, event, key) {
    if (event.type === 'GroupCreated') return create(event);
    if (!row) throw new Error(`${event.type} at offset ${event.offset} comes before the creation of ${key}`);
    return applyEvent(row, event);
  },
};

const create = ({ recordedAt, data: { name, about, settings } }: Recorded<'GroupCreated'>): GroupRow => ({
  createdAt: recordedAt,
  texts: about === undefined ? { name } : { name, about },
  settings,
  members: 0,
  lastMessage: null,
  changedAt: null,
  lastMention: 0,
  pins: [],
});

function applyEvent(row: GroupRow, event: Recorded): GroupRow {
  switch (event.type) {
    case 'MessageSent': {
      const { mentions, seq } = event.data;
      return { ...row, lastMessage: sealedMessage(event), lastMention: mentions ? seq : row.lastMention };
    }
    case 'MessageEdited': {
      const { mentions, seq } = event.data;
      const lastMention = mentions ? Math.max(seq, row.lastMention) : row.lastMention;
      return { ...withChange(row, event), lastMention };
    }
    case 'MessageDeleted':
      return { ...withChange(row, event), pins: withoutPin(row, event.data.messageId) };
    case 'MessagePinned': {
      const { messageId, seq, on } = event.data;
      const others = withoutPin(row, messageId);
      return { ...withChange(row, event), pins: on ? [...others, [messageId, seq]] : others };
    }
    case 'GroupChanged': {
      const { name = row.texts.name, about = row.texts.about } = event.data;
      const texts = about ? { name, about } : { name };
      return { ...row, texts, settings: { ...row.settings, ...settingsIn(event.data) } };
    }
    case 'MemberJoined':
      return { ...row, members: row.members + 1 };
    case 'MemberLeft':
      return { ...row, members: row.members - 1 };
    default:
      return withChange(row, event);
  }
}

const withoutPin = ({ pins }: GroupRow, messageId: string): GroupRow['pins'] =>
  pins.filter(([pin]) => pin !== messageId);

/** The row after an event that may change a message. */
function withChange(row: GroupRow, event: Recorded): GroupRow {
  const changed = changedBy(event);
  if (!changed) return row;
  const { lastMessage } = row;
  const isLast = lastMessage?.seq === changed.seq;
  return {
    ...row,
    lastMessage: isLast ? changeMessage(lastMessage, event) : lastMessage,
    changedAt: event.offset,
  };
}

/** The newest `seq`; 0 in an empty group. */
export const lastSeqIn = (row: GroupRow): number => row.lastMessage?.seq ?? 0;

/** The groups of these ids that exist. */
export async function groupRows(
  rows: Pick<RowReader, 'get'>,
  rooms: readonly RoomId[],
): Promise<ReadonlyMap<RoomId, GroupRow & { readonly offset: number }>> {
  if (rooms.length === 0) return new Map();
  const found = await rows.get(
    groupsModel,
    rooms.map((room) => streamOf('room', room)),
  );
  return new Map(
    rooms.flatMap((room) => {
      const row = found.get(streamOf('room', room));
      return row?.value ? [[room, { ...row.value, offset: row.offset }] as const] : [];
    }),
  );
}
