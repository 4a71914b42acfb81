import type { Message } from '../../../packages/client/src/types.js';
import type { Entry } from './history.js';

type Of<K extends Entry['kind']> = Extract<Entry, { kind: K }>;

/** One request of a client and how it ended; without an end, it may have happened. */
export interface Try<Asked> {
  readonly asked: Asked;
  outcome: 'acknowledged' | 'refused' | 'unknown';
  /** When its answer came; never, if none did. */
  doneAt: number;
}

/** A message that a client sent, once or more often. */
export interface Said {
  readonly messageId: string;
  readonly roomId: string;
  readonly device: string;
  readonly senderId: string;
  readonly text: string;
  readonly tries: Try<Of<'sent'>>[];
  /** As its answer showed it. */
  answer: Message | undefined;
}

export interface Read {
  readonly roomId: string;
  readonly userId: string;
  readonly invokedAt: number;
  readonly doneAt: number;
  readonly upTo: number;
}

/** All connections of a device, each resumed from the cursor of the last push before it. */
export interface Chain {
  readonly device: string;
  readonly userId: string;
  readonly connected: Of<'connected'>[];
  readonly pushed: Message[];
  readonly marks: Of<'mark pushed'>[];
}

/** A message as somebody saw it. */
export interface Sighting {
  readonly where: string;
  readonly message: Message;
}

/** A history, put in order for the rules. */
export interface Facts {
  readonly rooms: ReadonlyMap<string, readonly [string, string]>;
  readonly said: ReadonlyMap<string, Said>;
  readonly reads: readonly Read[];
  readonly chains: ReadonlyMap<string, Chain>;
  readonly finals: readonly Of<'final'>[];
  readonly fetches: readonly Of<'fetched'>[];
  readonly sightings: readonly Sighting[];
  /** The sightings by message id. */
  readonly sightingsOf: ReadonlyMap<string, readonly Sighting[]>;
  readonly complaints: readonly (Of<'error'> | Of<'overdue'>)[];
}

/** Joins requests with their answers, and gathers what each device and node saw. */
export function factsOf(entries: readonly Entry[]): Facts {
  const gathered = new Gathered();
  for (const entry of entries) gathered.take(entry);
  return gathered;
}

class Gathered implements Facts {
  readonly rooms = new Map<string, readonly [string, string]>();
  readonly said = new Map<string, Said>();
  readonly reads: Read[] = [];
  readonly chains = new Map<string, Chain>();
  readonly finals: Of<'final'>[] = [];
  readonly fetches: Of<'fetched'>[] = [];
  readonly sightings: Sighting[] = [];
  readonly sightingsOf = new Map<string, Sighting[]>();
  readonly complaints: (Of<'error'> | Of<'overdue'>)[] = [];
  readonly #sends = new Map<number, { said: Said; attempt: Try<Of<'sent'>> }>();
  readonly #readings = new Map<number, Of<'reading'>>();

  take(entry: Entry): void {
    switch (entry.kind) {
      case 'room':
        this.rooms.set(entry.roomId, entry.members);
        break;
      case 'device':
        this.chains.set(entry.device, { ...entry, connected: [], pushed: [], marks: [] });
        break;
      case 'connected':
        this.#chain(entry.device).connected.push(entry);
        break;
      case 'sent':
        this.#sent(entry);
        break;
      case 'acknowledged':
      case 'refused':
      case 'unknown':
        this.#answered(entry);
        break;
      case 'pushed':
        this.#chain(entry.device).pushed.push(entry.message);
        this.#see(`a push to ${entry.device}`, [entry.message]);
        break;
      case 'mark pushed':
        this.#chain(entry.device).marks.push(entry);
        break;
      case 'reading':
        this.#readings.set(entry.attempt, entry);
        break;
      case 'read':
        this.#read(entry);
        break;
      case 'fetched':
        this.fetches.push(entry);
        this.#see(`a page for ${entry.device}`, entry.messages);
        break;
      case 'final':
        this.finals.push(entry);
        this.#see(`the history at ${entry.node}`, entry.messages);
        break;
      case 'error':
      case 'overdue':
        this.complaints.push(entry);
        break;
    }
  }

  #chain(device: string): Chain {
    const chain = this.chains.get(device);
    if (!chain) throw new Error(`the history does not say whose device ${device} is`);
    return chain;
  }

  #see(where: string, messages: readonly Message[]): void {
    for (const message of messages) {
      const sighting = { where, message };
      this.sightings.push(sighting);
      const others = this.sightingsOf.get(message.messageId);
      if (others) others.push(sighting);
      else this.sightingsOf.set(message.messageId, [sighting]);
    }
  }

  #sent(asked: Of<'sent'>): void {
    const { messageId, roomId, device, text } = asked;
    const { userId: senderId } = this.#chain(device);
    const fresh: Said = { messageId, roomId, device, senderId, text, tries: [], answer: undefined };
    const said = this.said.get(messageId) ?? fresh;
    this.said.set(messageId, said);
    const attempt: Try<Of<'sent'>> = { asked, outcome: 'unknown', doneAt: Number.POSITIVE_INFINITY };
    said.tries.push(attempt);
    this.#sends.set(asked.attempt, { said, attempt });
  }

  #answered(entry: Of<'acknowledged'> | Of<'refused'> | Of<'unknown'>): void {
    const send = this.#sends.get(entry.attempt);
    // Marks are refused too.
    if (!send) return;
    send.attempt.outcome = entry.kind;
    if (entry.kind !== 'unknown') send.attempt.doneAt = entry.at;
    if (entry.kind !== 'acknowledged') return;
    send.said.answer = entry.message;
    this.#see(`the answer to ${send.said.device}`, [entry.message]);
  }

  #read({ attempt, at: doneAt, upTo }: Of<'read'>): void {
    const asked = this.#readings.get(attempt);
    if (!asked) throw new Error(`the history has an answer to attempt ${attempt}, which nobody made`);
    const { roomId, device, at: invokedAt } = asked;
    this.reads.push({ roomId, userId: this.#chain(device).userId, invokedAt, doneAt, upTo });
  }
}
