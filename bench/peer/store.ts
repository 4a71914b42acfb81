import { randomBytes, randomUUID } from 'node:crypto';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';

/** A message as it is stored, sent and pushed. */
export interface Message {
  readonly messageId: string;
  readonly roomId: string;
  readonly seq: number;
  readonly senderId: string;
  readonly message: string;
  readonly sentAt: string;
}

const schema = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS tokens (token TEXT PRIMARY KEY, userId TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS members (userId TEXT, roomId TEXT, PRIMARY KEY (userId, roomId)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY, messageId TEXT NOT NULL, roomId TEXT NOT NULL, senderId TEXT NOT NULL,
    message TEXT NOT NULL, sentAt TEXT NOT NULL);
  CREATE INDEX IF NOT EXISTS messagesOfRoom ON messages (roomId, seq);
`;

/** The peer's tables. A write is durable when its call returns, because of `synchronous=FULL`. */
export class PeerStore {
  readonly #db: DatabaseSyncInstance;
  readonly #statements;

  constructor(path: string) {
    this.#db = new DatabaseSync(path);
    this.#db.exec(schema);
    this.#statements = {
      addToken: this.#db.prepare('INSERT INTO tokens VALUES (?, ?)'),
      userOf: this.#db.prepare('SELECT userId FROM tokens WHERE token = ?'),
      addMember: this.#db.prepare('INSERT INTO members VALUES (?, ?)'),
      roomsOf: this.#db.prepare('SELECT roomId FROM members WHERE userId = ?'),
      addMessage: this.#db.prepare(
        'INSERT INTO messages (messageId, roomId, senderId, message, sentAt) VALUES (?, ?, ?, ?, ?)',
      ),
      after: this.#db.prepare('SELECT * FROM messages WHERE roomId = ? AND seq > ? ORDER BY seq LIMIT ?'),
      newest: this.#db.prepare('SELECT * FROM messages WHERE roomId = ? ORDER BY seq DESC LIMIT ?'),
    };
  }

  addUsers(count: number): { userId: string; token: string }[] {
    const users = Array.from({ length: count }, () => ({
      userId: randomUUID(),
      token: randomBytes(32).toString('base64url'),
    }));
    this.#transaction(() => {
      for (const { token, userId } of users) this.#statements.addToken.run(token, userId);
    });
    return users;
  }

  /** A room for each list of members. */
  addRooms(pairs: readonly (readonly string[])[]): string[] {
    const rooms = pairs.map((pair) => ({ roomId: randomUUID(), pair }));
    this.#transaction(() => {
      for (const { roomId, pair } of rooms)
        for (const userId of pair) this.#statements.addMember.run(userId, roomId);
    });
    return rooms.map(({ roomId }) => roomId);
  }

  userOf(token: string): string | undefined {
    const row = this.#statements.userOf.get(token) as { userId: string } | undefined; // the query's columns
    return row?.userId;
  }

  roomsOf(userId: string): string[] {
    const rows = this.#statements.roomsOf.all(userId) as { roomId: string }[]; // the query's columns
    return rows.map(({ roomId }) => roomId);
  }

  addMessage(message: Omit<Message, 'seq'>): Message {
    const { messageId, roomId, senderId, message: text, sentAt } = message;
    const { lastInsertRowid } = this.#statements.addMessage.run(messageId, roomId, senderId, text, sentAt);
    return { ...message, seq: Number(lastInsertRowid) };
  }

  /** Adds many messages in one transaction, to fill a room for a measure. */
  fill(roomId: string, senderId: string, count: number): void {
    const message = 'x'.repeat(100);
    this.#transaction(() => {
      for (let i = 0; i < count; i++)
        this.addMessage({
          messageId: randomUUID(),
          roomId,
          senderId,
          message,
          sentAt: new Date().toISOString(),
        });
    });
  }

  /** The messages after `after`, or the newest ones; in ascending order. */
  messages(roomId: string, after: number | undefined, limit: number): Message[] {
    const { after: following, newest } = this.#statements;
    // The columns of the table are the fields of a message.
    if (after !== undefined) return following.all(roomId, after, limit) as unknown as Message[];
    return (newest.all(roomId, limit) as unknown as Message[]).reverse();
  }

  close(): void {
    this.#db.close();
  }

  #transaction(run: () => void): void {
    this.#db.exec('BEGIN');
    run();
    this.#db.exec('COMMIT');
  }
}
