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
import {
  type Change,
  type Observable,
  reuseIfEqual,
  roomOf,
  type State,
  type Unsent,
  withEntry,
  withoutKey,
  withRoom,
} from './storeState.js';
import type { Entry, StoreOptions } from './storeTypes.js';

/**
 * Adds an unsent message at the end. It is removed when the server's copy arrives; if that is here
 * already, as after a restart, nothing is added.
 */
export function addUnsent(state: State, { roomId, entry }: Unsent): State {
  const { messageId } = entry;
  if (roomOf(state, roomId).known.some((message) => message.messageId === messageId)) return state;
  const unsent = new Map(withoutKey(state.unsent, messageId)).set(messageId, { roomId, entry });
  return { ...state, unsent };
}

export function markRefused(state: State, messageId: string, error: ClientError): State {
  const waiting = state.unsent.get(messageId);
  if (waiting === undefined) return state;
  const entry = { ...waiting.entry, state: 'refused' as const, error };
  return { ...state, unsent: withEntry(state.unsent, messageId, { ...waiting, entry }) };
}

function removeRefused(state: State, messageId: string): State {
  if (state.unsent.get(messageId)?.entry.state !== 'refused') return state;
  return { ...state, unsent: withoutKey(state.unsent, messageId) };
}

/** Shows just these changes. */
export function setChanges(state: State, waiting: readonly OutboxEntry[]): State {
  const changes = new Map<string, readonly Change[]>();
  for (const entry of waiting) {
    if (entry.request === 'send message') continue;
    const { messageId } = entry.data;
    changes.set(messageId, [...(changes.get(messageId) ?? []), entry]);
  }
  for (const [messageId, now] of changes)
    changes.set(messageId, reuseIfEqual(state.changes.get(messageId), now));
  return changes.size + state.changes.size === 0 ? state : { ...state, changes };
}

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
}

/** Shows messages, edits, deletions and reactions before they are sent, and sends them with the outbox. */
export class Sending {
  readonly #parts: SendingParts;
  readonly #outbox: Outbox;
  /** What an earlier run left is sent first. */
  #resumed: Promise<void> = Promise.resolve();

  constructor(parts: SendingParts) {
    this.#parts = parts;
    const { now, newId, outbox, onRefused } = parts.options;
    this.#outbox = new Outbox(parts.client, {
      ...(outbox && { store: outbox }),
      ...(newId && { newId }),
      ...(now && { now }),
      onAnswered: (entry, answer) => {
        parts.store.receive((state) => applyAnswer(state, entry.request, answer, entry.data));
        this.#change((state) => state);
        if ('message' in answer) parts.onStored(answer.message);
      },
      onRefused: (entry, error) => {
        this.#change((state) => markRefused(state, entry.id, error));
        if (entry.request !== 'send message') onRefused?.(entry, error);
      },
    });
  }

  /** Sends what an earlier run left unsent. */
  start(): void {
    this.#resumed = this.#outbox.resume().then(
      () => {
        const left = this.#outbox.waiting.flatMap((entry) =>
          entry.request === 'send message' ? [toUnsent(entry)] : [],
        );
        this.#change((state) => [...left, ...state.unsent.values()].reduce(addUnsent, state));
      },
      // Those entries stay in the outbox for the next run; new ones are sent.
      (error: unknown) => this.#parts.onError(error),
    );
  }

  send(roomId: string, message: string, options: MessageOptions = {}): Entry {
    return this.#add(this.#outbox.entryOf('send message', { ...options, roomId, message }));
  }

  /** Shows a change at once and sends it. A caller who does not wait for it may ignore that it was refused. */
  queue<N extends Change['request']>(request: N, data: WithoutId<N>): Promise<void> {
    const entry = this.#outbox.entryOf(request, data);
    const refusal = this.#refusal(entry);
    const sent = refusal ? Promise.reject(refusal) : this.#queue(entry);
    sent.catch(() => {});
    return sent;
  }

  retry(messageId: string): void {
    const unsent = this.#parts.store.state.unsent.get(messageId);
    if (unsent?.entry.state !== 'refused') return;
    const { roomId, entry } = unsent;
    const { state: _, error: __, queuedAt, ...data } = entry;
    this.#add({ id: messageId, request: 'send message', data: { ...data, roomId }, queuedAt });
  }

  discard(messageId: string): void {
    this.#parts.store.apply((state) => removeRefused(state, messageId));
  }

  /** Changes the state together with the shown changes. */
  #change(fold: (state: State) => State): void {
    this.#parts.store.apply((state) => setChanges(fold(state), this.#outbox.waiting));
  }

  #add(entry: EntryOf<'send message'>): Entry {
    const shown = toUnsent(entry);
    this.#parts.store.apply((state) => addUnsent(state, shown));
    const refuse = (error: unknown): void => {
      const why = toClientError(error, 'not_kept');
      // The client ended before the message was sent: it stays in the outbox for the next run.
      if (!isOver(why)) this.#parts.store.apply((state) => markRefused(state, entry.id, why));
    };
    const refusal = this.#refusal(entry);
    if (refusal) refuse(refusal);
    else this.#queue(entry).catch(refuse);
    return this.#parts.store.state.unsent.get(entry.id)?.entry ?? shown.entry;
  }

  async #queue(entry: OutboxEntry): Promise<void> {
    await this.#resumed;
    const answered = this.#outbox.add(entry);
    this.#change((state) => state);
    try {
      await answered;
    } catch (error) {
      this.#change((state) => state);
      throw toClientError(error, 'not_kept');
    }
  }

  #refusal({ data: { roomId } }: OutboxEntry): ClientError | undefined {
    const canSend = isMember(roomOf(this.#parts.store.state, roomId));
    return canSend ? undefined : new ClientError({ code: 'forbidden', reason: 'not_member' });
  }
}

function toUnsent({ data, queuedAt }: EntryOf<'send message'>): Unsent {
  const { roomId, ...rest } = data;
  return { roomId, entry: { state: 'sending', ...rest, queuedAt } };
}

/**
 * Tells the server how far this user has read. A mark is shown at once and sent in the background, one
 * request a room at a time, so that fast reading sends the last mark and not each.
 */
export class Marks {
  readonly #busy = new Set<string>();

  constructor(
    private readonly client: Pick<Client, 'request'>,
    private readonly store: Observable<State>,
  ) {}

  /** Limited to the newest message, as the server refuses marks beyond it. */
  setWish(roomId: string, upTo: number): void {
    const { known, wishedMark } = roomOf(this.store.state, roomId);
    const reachable = Math.max(wishedMark, Math.min(upTo, known.at(-1)?.seq ?? 0));
    this.store.apply((state) => withRoom(state, roomId, { wishedMark: reachable }));
    if (!this.#busy.has(roomId)) void this.#send(roomId);
  }

  async #send(roomId: string): Promise<void> {
    this.#busy.add(roomId);
    try {
      for (let wish = this.#unsent(roomId); wish !== undefined; wish = this.#unsent(roomId)) {
        const asked = { roomId, upTo: wish };
        // Without a time limit: only one request a room waits for a connection.
        const answer = await this.client.request('read messages', asked, { timeoutMs: Infinity });
        this.store.receive((state) => applyAnswer(state, 'read messages', answer, asked));
      }
    } catch {
      // The server refused it, or the client has ended: the server's mark is shown.
      this.store.apply((state) => withRoom(state, roomId, { wishedMark: 0 }));
    } finally {
      this.#busy.delete(roomId);
    }
  }

  #unsent(roomId: string): number | undefined {
    const { me } = this.store.state;
    const { marks, wishedMark } = roomOf(this.store.state, roomId);
    return wishedMark > (marks.get(me?.userId ?? '') ?? 0) ? wishedMark : undefined;
  }
}
