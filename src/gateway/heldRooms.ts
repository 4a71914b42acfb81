import { type Command, type CommandKind, commandDeclaration } from '../domain/commands.js';
import type { RequestName } from '../domain/contract.js';
import { declaredCommands } from '../domain/features.js';
import type { RoomId, UserId } from '../domain/ids.js';
import type { Handler, Handlers } from './commandRunner.js';
import type { Connection } from './connection.js';
import type { SendHook, SendQuestion } from './sendHook.js';

/** By room, the end of the last request of a connection that waits there. */
type Waiting = Map<RoomId, Promise<void>>;

const kinds: ReadonlySet<string> = new Set(declaredCommands.map(({ kind }) => kind));

/** The fields of a request that say which rooms it is about. */
interface RoomFields {
  readonly roomId?: RoomId;
  readonly roomIds?: readonly RoomId[];
}

/** The rooms that a request is about: of a command, also the room of the pair that it names. */
function roomsOf(name: RequestName, actor: UserId, data: RoomFields): readonly RoomId[] {
  const { roomId, roomIds } = data;
  if (roomId !== undefined) return [roomId];
  if (roomIds !== undefined || !kinds.has(name)) return roomIds ?? [];
  const { stream, streamId } = commandDeclaration(name as CommandKind); // Just looked up.
  // Validated data of a command, with its actor, is this command.
  return stream.kind === 'room' ? [streamId({ ...data, kind: name, actor } as unknown as Command)] : [];
}

/**
 * Makes requests about a room wait while a text of the same connection to this room waits for the host. So they take
 * effect in the order sent. Nothing else waits: no other room, and no other connection.
 */
class HeldRooms {
  readonly #held = new WeakMap<Connection, Waiting>();

  /** Whether a text of this connection waits for the host. */
  isHolding(connection: Connection): boolean {
    return this.#held.has(connection);
  }

  /** Runs `begin` behind what waits for these rooms, and after `before`. */
  run<T>(
    connection: Connection,
    rooms: readonly RoomId[],
    begin: () => Promise<T>,
    before?: () => Promise<void>,
  ): Promise<T> {
    const waiting = this.#held.get(connection);
    // A request about several rooms keeps its order in those that are held, and holds no other.
    const held = before ? rooms : rooms.filter((room) => waiting?.has(room));
    const earlier = held.flatMap((room) => waiting?.get(room) ?? []);
    if (earlier.length === 0 && before === undefined) return begin();
    const turn = Promise.all(earlier).then(before);
    // The outcome is not waited for: what comes next may begin once this has begun.
    const begun = turn.then(() => ({ outcome: begin() }));
    this.#hold(connection, held, begun);
    return begun.then(({ outcome }) => outcome);
  }

  #hold(connection: Connection, rooms: readonly RoomId[], begun: Promise<unknown>): void {
    const waiting = this.#held.get(connection) ?? new Map();
    this.#held.set(connection, waiting);
    const end = begun.then(
      () => undefined,
      () => undefined,
    );
    for (const room of rooms) waiting.set(room, end);
    void end.then(() => {
      for (const room of rooms) if (waiting.get(room) === end) waiting.delete(room);
      if (waiting.size === 0 && this.#held.get(connection) === waiting) this.#held.delete(connection);
    });
  }
}

/** Asks the host about new texts; undefined: nobody is asked. */
export type HostQuestions = Pick<SendHook, 'ask'> | undefined;

/**
 * The same handlers, but new texts are asked about first. The verdict goes with the command: a message that exists
 * already gets its answer, whatever the host says now.
 */
export function askBefore(handlers: Handlers, hook: HostQuestions): Handlers {
  if (hook === undefined) return handlers;
  const rooms = new HeldRooms();
  const asking = new Set<string>(
    declaredCommands.flatMap(({ kind }) => (commandDeclaration(kind).asksHost ? [kind] : [])),
  );
  const wrap = (name: RequestName, handler: Handler<RequestName>): Handler<RequestName> => {
    if (!asking.has(name))
      return (connection, me, data) => {
        const begin = () => handler(connection, me, data);
        return rooms.isHolding(connection)
          ? rooms.run(connection, roomsOf(name, me, data as RoomFields), begin)
          : begin();
      };
    return (connection, me, data) => {
      // A command that asks the host names its message, and has a text.
      const { roomId, messageId, message, editId } = data as unknown as Omit<SendQuestion, 'userId'>;
      const question = {
        userId: me,
        roomId,
        messageId,
        message,
        ...(editId === undefined ? {} : { editId }),
      };
      const before = async (): Promise<void> => {
        const held = await hook.ask(question);
        if (held) Object.assign(data, { held });
      };
      return rooms.run(connection, [roomId], () => handler(connection, me, data), before);
    };
  };
  const wrapped = Object.entries(handlers).map(([name, handler]) => [
    name,
    wrap(name as RequestName, handler as Handler<RequestName>), // `Handlers` has one for each request.
  ]);
  return Object.fromEntries(wrapped) as Handlers;
}
