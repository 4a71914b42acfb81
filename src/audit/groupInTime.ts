import { notFound } from '../base/errors.js';
import type { Time } from '../domain/fields.js';
import { groupNote } from '../domain/groups/groupEvents.js';
import { type RoomId, type StreamName, streamOf, type UserId } from '../domain/ids.js';
import type { Message, User } from '../domain/userMessageChat.js';
import { type GroupRow, groupsModel, groupsProjection, lastSeqIn } from '../projections/models/groupRows.js';
import {
  type MembershipRow,
  membershipIn,
  membershipsModel,
  membershipsOf,
  membershipsProjection,
} from '../projections/models/membershipRows.js';
import {
  messageOf,
  messagesModel,
  messagesProjection,
  openMessages,
} from '../projections/models/messageRows.js';
import { requireUsers, type ViewSource } from '../projections/models/userRows.js';
import { type AnyProjection, type Folded, foldEvents, type Rows } from '../projections/projection.js';
import type { Model, Row } from '../projections/store/rowStore.js';
import { type At, eventsUntil, type StreamSource } from './events/eventFilter.js';

/** Read models in memory, folded from some events by the same folds that run live. */
export class RowsInMemory {
  readonly #tables: readonly { readonly projection: AnyProjection; readonly rows: Rows }[];

  constructor(projections: readonly AnyProjection[]) {
    this.#tables = projections.map((projection) => ({ projection, rows: new Map() }));
  }

  /** Events must come in their order. */
  fold(event: Folded): void {
    for (const { projection, rows } of this.#tables) foldEvents(projection, [event], () => undefined, rows);
  }

  get<R>(model: Model<R>, key: string): R | undefined {
    // A model's rows are made by its projection.
    return (this.#rows(model).get(key)?.value ?? undefined) as R | undefined;
  }

  /** The rows in the order in which they were first written. */
  all<R>(model: Model<R>): Row<R>[] {
    // A model's rows are made by its projection.
    return [...this.#rows(model).values()] as Row<R>[];
  }

  #rows(model: Pick<Model<unknown>, 'name'>): Rows {
    const table = this.#tables.find(({ projection }) => projection.model.name === model.name);
    if (!table) throw new RangeError(`${model.name} is not folded here`);
    return table.rows;
  }
}

/** A room without its messages. */
export interface RoomInfo {
  readonly roomId: RoomId;
  readonly roomType: 'PRIVATE' | 'GROUP';
  /** Of a group its members then, in the order of joining. */
  readonly memberIds: readonly UserId[];
  readonly createdAt: Time;
  /** Of a group; null when its key is destroyed. */
  readonly name?: string | null;
}

/** A room at a point in time, with its messages. */
export interface RoomSnapshot {
  readonly room: RoomInfo;
  readonly members: readonly User[];
  readonly messages: readonly Message[];
  readonly readUpTo: Readonly<Record<UserId, number>>;
}

/** Members are shown without the texts of their profiles: the rows have those of now, not of then. */
export const NAMES_ONLY = [] as const;

/** A group as it was, with those who were its members. */
interface GroupThen {
  readonly row: GroupRow;
  readonly members: readonly { readonly userId: UserId; readonly value: MembershipRow }[];
}

/** The group of these rows; undefined if there was none. */
function groupIn(rows: RowsInMemory, stream: StreamName): GroupThen | undefined {
  const row = rows.get(groupsModel, stream);
  if (!row) return undefined;
  const joined = (value: MembershipRow): number => value.periods.at(-1)?.[2] ?? 0;
  const members = rows
    .all(membershipsModel)
    .flatMap(({ key, value }) => (value?.role ? [{ userId: membershipIn(key).userId, value }] : []))
    .sort((a, b) => joined(a.value) - joined(b.value));
  return { row, members };
}

async function infoOf({ open }: ViewSource, roomId: RoomId, { row, members }: GroupThen): Promise<RoomInfo> {
  const [name = null] = await open.notes([groupNote(roomId, 'name', row.texts.name)]);
  const memberIds = members.map(({ userId }) => userId);
  return { roomId, roomType: 'GROUP', memberIds, createdAt: row.createdAt, name };
}

/** As `readRoomAt`, of a group. */
export async function readGroupAt(
  source: ViewSource & StreamSource,
  roomId: RoomId,
  at: At | undefined,
): Promise<RoomSnapshot> {
  const stream = streamOf('room', roomId);
  const rows = new RowsInMemory([groupsProjection, membershipsProjection, messagesProjection]);
  for await (const event of eventsUntil(source, stream, at)) rows.fold(event);
  const group = groupIn(rows, stream);
  if (!group) throw notFound('the room did not exist then');
  if (at && 'seq' in at && lastSeqIn(group.row) !== at.seq)
    throw notFound('the room has no message with this number');
  const messages = rows.all(messagesModel).flatMap((row) => messageOf(row) ?? []);
  const room = await infoOf(source, roomId, group);
  return {
    room,
    members: await requireUsers(source, room.memberIds, NAMES_ONLY),
    messages: await openMessages(source.open, messages),
    readUpTo: Object.fromEntries(group.members.map(({ userId, value }) => [userId, value.mark])),
  };
}

/** The groups that a user was in at that time. */
export async function readGroupsOf(
  source: ViewSource & StreamSource,
  userId: UserId,
  at: At | undefined,
): Promise<RoomInfo[]> {
  const found: RoomInfo[] = [];
  for (const { key } of await membershipsOf(source.rows, userId)) {
    const { roomId } = membershipIn(key);
    const stream = streamOf('room', roomId);
    const rows = new RowsInMemory([groupsProjection, membershipsProjection]);
    for await (const event of eventsUntil(source, stream, at)) rows.fold(event);
    const group = groupIn(rows, stream);
    if (group?.members.some((member) => member.userId === userId))
      found.push(await infoOf(source, roomId, group));
  }
  return found;
}
