import { shortId, type UserCache } from '../console/userNames.js';
import { displayName } from '../ui/displayName.js';
import type { EventRow } from './auditTypes.js';
import { summaryOf } from './eventWords.js';
import type { ExportedRow, NamedRow } from './exportRows.js';
import type { NameSearch } from './names.js';

/** The log records each read of a room's name, so one export asks for this many. Others are named by their ids. */
const MAX_ASKED_ROOMS = 10;

/** A row to export, with the ids that its names come from. */
export interface ExportSource {
  readonly time: string;
  readonly userId?: string | undefined;
  readonly roomId?: string | undefined;
  readonly text?: string | undefined;
  readonly row: ExportedRow;
}

/** An event as a row. */
export function sourceOf(event: EventRow): ExportSource {
  const { recordedAt: time, actor: userId, stream } = event;
  const [kind, id] = stream.split(':');
  return {
    time,
    userId,
    roomId: kind === 'room' ? id : undefined,
    text: summaryOf(event),
    row: { ...event },
  };
}

/** Finds the names of rows: those that the console shows already, and few others. */
export class ExportNames {
  #asked = 0;

  constructor(
    private readonly users: UserCache,
    private readonly names: NameSearch,
  ) {}

  /** The rows with the names of their users and rooms. */
  async nameRows(sources: readonly ExportSource[]): Promise<readonly NamedRow[]> {
    const users = await namesOf(sources, 'userId', (id) => this.user(id));
    const rooms = await namesOf(sources, 'roomId', (id) => this.room(id));
    return sources.map(({ time, userId = '', roomId = '', text = '', row }) => ({
      ...{ time, text, row },
      name: users.get(userId) ?? '',
      room: rooms.get(roomId) ?? '',
    }));
  }

  /** A user's name; the short id if it cannot be had. */
  async user(id: string): Promise<string> {
    if (id === 'system') return id;
    const user = await this.users.get(id);
    return user ? displayName(user) : shortId(id);
  }

  /** A group's name, or both people of a private chat; the short id if it cannot be had. */
  async room(id: string): Promise<string> {
    const known = this.names.known(id);
    const label = known ?? (this.#asked++ < MAX_ASKED_ROOMS ? await this.names.room(id) : undefined);
    if (!label) return `room:${shortId(id)}`;
    if (label.members === undefined) return label.name ?? 'group whose name is erased';
    return (await Promise.all(label.members.map((member) => this.user(member)))).join(' and ');
  }

  /** The name of what a stream is about. */
  async stream(stream: string): Promise<string> {
    const [kind, id = ''] = stream.split(':');
    if (kind === 'user') return this.user(id);
    return kind === 'room' ? this.room(id) : stream;
  }
}

/** The names of the distinct ids in one field of the rows. */
async function namesOf(
  sources: readonly ExportSource[],
  field: 'userId' | 'roomId',
  nameOf: (id: string) => Promise<string>,
): Promise<ReadonlyMap<string, string>> {
  const ids = [...new Set(sources.flatMap((source) => source[field] ?? []))];
  return new Map(await Promise.all(ids.map(async (id) => [id, await nameOf(id)] as const)));
}
