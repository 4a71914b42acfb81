import { FOREVER } from '../options.js';
import {
  type EntryOf,
  isOver,
  type MessageOptions,
  Outbox,
  type OutboxEntry,
  type OutboxStore,
  type WithoutId,
} from '../outbox.js';
import { type Client, ClientError, type Message, toClientError } from '../types.js';
import { isMember } from './chatFolds.js';
import { applyAnswer } from './contractFolds.js';
import { unsentEntry } from './snapshot.js';
import {
  type Change,
  type Observable,
  type Refused,
  reuseIfEqual,
  roomOf,
  type State,
  withEntry,
  withRoom,
} from './storeState.js';
import type { Entry, StoreOptions } from './storeTypes.js';

/** Shows just what waits in the outbox. */
export function setWaiting(state: State, waiting: readonly OutboxEntry[]): State {
  const changes = new Map<string, readonly Change[]>();
  let { refused } = state;
  for (const entry of waiting) {
    const { messageId } = entry.data;
    if (entry.request === 'send message') refused = withEntry(refused, messageId, undefined);
    else changes.set(messageId, [...(changes.get(messageId) ?? []), entry]);
  }
  for (const [id, now] of changes) changes.set(id, reuseIfEqual(state.changes.get(id), now));
  // Without changes the map stays the same, from which every chat is made.
  return { ...state, waiting, refused, changes: changes.size + state.changes.size ? changes : state.changes };
}

export const setRefused = (state: State, { entry, error }: Refused): State => ({
  ...state,
  refused: withEntry(state.refused, entry.id, { entry, error }),
});

interface SendingParts {
  readonly client: Pick<Client, 'request'>;
  readonly store: Observable<State>;
  readonly options: Pick<StoreOptions, 'now' | 'newId'> & {
    readonly outbox?: OutboxStore | undefined;
    readonly onRefused?: StoreOptions['onRefused'];
  };
  readonly onError: (error: unknown) => void;
  /** Called with each message of this user that the server has stored. */
  readonly onStored: (message: Message) => void;
  /** Called when the server has refused an entry: what is known of the other may no longer be true. */
  readonly onRefusal: () => void;
}

/** Shows messages, edits, deletions and reactions before they are sent, and sends them with the outbox. */
export class Sending {
  readonly #parts: SendingParts;
  readonly #outbox: Outbox;

  constructor(parts: SendingParts) {
    this.#parts = parts;
    const { now, newId, outbox, onRefused } = parts.options;
    this.#outbox = new Outbox(parts.client, {
      ...{ store: outbox, newId, now },
      onAnswered: (entry, answer) => {
        parts.store.receive((state) => applyAnswer(state, entry.request, answer, entry.data));
        this.#show();
        if ('message' in answer) parts.onStored(answer.message);
      },
      onRefused: (entry, error) => {
        this.#show();
        parts.onRefusal();
        if (entry.request === 'send message') this.#refuse(entry, error);
        else onRefused?.(entry, error);
      },
    });
  }

  /** Sends what an earlier run left unsent. */
  start(): void {
    this.#outbox.resume().then(
      () => this.#show(),
      // Those entries stay in the outbox for the next run; new ones are sent.
      (error: unknown) => this.#parts.onError(error),
    );
  }

  send(roomId: string, message: string, options: MessageOptions = {}): Entry {
    const entry = this.#outbox.entryOf('send message', { ...options, roomId, message });
    this.#add(entry);
    return unsentEntry(entry, this.#parts.store.state.refused.get(entry.id)?.error);
  }

  /** Shows a change at once and sends it. A caller who does not wait for it may ignore that it was refused. */
  queue<N extends Change['request']>(request: N, data: WithoutId<N>): Promise<void> {
    const sent = this.#queue(this.#outbox.entryOf(request, data));
    sent.catch(() => {});
    return sent;
  }

  retry(messageId: string): void {
    const refused = this.#parts.store.state.refused.get(messageId);
    if (refused) this.#add(refused.entry);
  }

  discard(messageId: string): void {
    this.#parts.store.apply((state) => ({
      ...state,
      refused: withEntry(state.refused, messageId, undefined),
    }));
  }

  #show(): void {
    this.#parts.store.apply((state) => setWaiting(state, this.#outbox.waiting));
  }

  #refuse(entry: EntryOf<'send message'>, cause: unknown): void {
    const error = toClientError(cause, 'not_kept');
    // The client ended before the message was sent: it stays in the outbox for the next run.
    if (!isOver(error)) this.#parts.store.apply((state) => setRefused(state, { entry, error }));
  }

  #add(entry: EntryOf<'send message'>): void {
    if (this.#canSend(entry)) this.#queue(entry).catch((error: unknown) => this.#refuse(entry, error));
    else this.#refuse(entry, notMember());
  }

  async #queue(entry: OutboxEntry): Promise<void> {
    if (!this.#canSend(entry)) throw notMember();
    const answered = this.#outbox.add(entry);
    this.#show();
    try {
      await answered;
    } catch (error) {
      this.#show();
      throw toClientError(error, 'not_kept');
    }
  }

  #canSend({ data: { roomId } }: OutboxEntry): boolean {
    return isMember(roomOf(this.#parts.store.state, roomId));
  }
}

const notMember = (): ClientError => new ClientError({ code: 'forbidden', reason: 'not_member' });

/**
 * Tells the server how far this user has read. A mark is shown at once and sent in the background, one
 * request a room at a time, so that fast reading sends the last mark and not each.
 */
export function createMarks(client: Pick<Client, 'request'>, store: Observable<State>) {
  const busy = new Set<string>();
  const setMark = (roomId: string, wishedMark: number): void =>
    store.apply((state) => withRoom(state, roomId, { wishedMark }));
  const send = async (roomId: string): Promise<void> => {
    if (busy.has(roomId)) return;
    busy.add(roomId);
    try {
      for (;;) {
        const { marks, wishedMark: upTo } = roomOf(store.state, roomId);
        if (upTo <= (marks.get(store.state.me?.userId ?? '') ?? 0)) break;
        // Without a time limit: only one request a room waits for a connection.
        const answer = await client.request('read messages', { roomId, upTo }, FOREVER);
        store.receive((state) => applyAnswer(state, 'read messages', answer, { roomId, upTo }));
      }
    } catch {
      // The server refused it, or the client has ended: the server's mark is shown.
      setMark(roomId, 0);
    }
    busy.delete(roomId);
  };
  /** Marks as read up to here; limited to the newest message, as the server refuses marks beyond it. */
  return (roomId: string, upTo: number): void => {
    const { known, wishedMark } = roomOf(store.state, roomId);
    setMark(roomId, Math.max(wishedMark, Math.min(upTo, known.at(-1)?.seq ?? 0)));
    void send(roomId);
  };
}
