import type { Message } from '../../../packages/client/src/types.js';
import type { Recorded } from '../../../src/domain/events.js';
import { reactionOf, type Seen, seenDeleted, seenMessage } from '../../support/groupModel.js';
import type { Entry, GroupRequest, Told } from './history.js';

type Of<K extends Entry['kind']> = Extract<Entry, { kind: K }>;

/** One request of a client and how it ended; without an end, it may have happened. */
export interface Try<Asked> {
  readonly asked: Asked;
  outcome: 'acknowledged' | 'refused' | 'denied' | 'unknown';
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

/** A change of a group that a client asked for, once or more often. */
export interface Change {
  readonly asked: GroupRequest;
  readonly device: string;
  readonly userId: string;
  readonly tries: Try<Of<'asked'>>[];
  /** The answer that it was given last. */
  answer: Of<'done'> | undefined;
}

/** A denial, and what was denied. */
export interface Denial {
  readonly code: string;
  readonly userId: string;
  readonly roomId: string;
  readonly request: GroupRequest['request'] | 'send message';
  readonly messageId?: string;
}

/** A group as it was created, and its events in the log. */
export interface GroupLog extends Pick<Of<'group'>, 'roomId' | 'history' | 'owner' | 'members'> {
  readonly events: Recorded[];
  /** The number of events that were in the log before everything was looked at. */
  due: number;
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
  /** What it was told of groups besides new messages. */
  readonly told: Of<'told'>[];
  /** By room and seq, each message as the device would show it. */
  readonly shown: Map<string, Seen>;
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
  readonly groups: ReadonlyMap<string, GroupLog>;
  readonly changes: readonly Change[];
  readonly denials: readonly Denial[];
  readonly shownAtEnd: readonly Of<'shown'>[];
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
  readonly groups = new Map<string, GroupLog>();
  readonly changes: Change[] = [];
  readonly denials: Denial[] = [];
  readonly shownAtEnd: Of<'shown'>[] = [];
  readonly #changesBy = new Map<number, Change>();
  readonly #asked = new Map<number, { change: Change; attempt: Try<Of<'asked'>> }>();
  readonly #sends = new Map<number, { said: Said; attempt: Try<Of<'sent'>> }>();
  readonly #readings = new Map<number, Of<'reading'>>();

  take(entry: Entry): void {
    switch (entry.kind) {
      case 'room':
        this.rooms.set(entry.roomId, entry.members);
        break;
      case 'device':
        this.chains.set(entry.device, {
          ...{ device: entry.device, userId: entry.userId, connected: [], pushed: [], marks: [] },
          ...{ told: [], shown: new Map() },
        });
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
      case 'denied':
        this.#answered(entry);
        break;
      case 'pushed':
        this.#pushed(entry);
        break;
      case 'group':
        this.groups.set(entry.roomId, { ...entry, events: [], due: 0 });
        break;
      case 'asked':
        this.#ask(entry);
        break;
      case 'done':
        this.#done(entry);
        break;
      case 'told':
        this.#told(entry);
        break;
      case 'logged':
        this.#logged(entry);
        break;
      case 'shown':
        this.shownAtEnd.push(entry);
        this.#see(`group ${entry.roomId} at ${entry.node}`, entry.messages ?? []);
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

  #answered(entry: Of<'acknowledged'> | Of<'refused'> | Of<'unknown'> | Of<'denied'>): void {
    const send = this.#sends.get(entry.attempt);
    const asked = this.#asked.get(entry.attempt);
    const attempt = send?.attempt ?? asked?.attempt;
    // Marks are refused too.
    if (!attempt) return;
    attempt.outcome = entry.kind;
    if (entry.kind !== 'unknown') attempt.doneAt = entry.at;
    if (entry.kind === 'denied') this.#deny(entry.code, send?.said, asked?.change);
    if (entry.kind !== 'acknowledged' || !send) return;
    send.said.answer = entry.message;
    this.#see(`the answer to ${send.said.device}`, [entry.message]);
  }

  #deny(code: string, said: Said | undefined, change: Change | undefined): void {
    if (said) {
      const { senderId: userId, roomId } = said;
      this.denials.push({ code, userId, roomId, request: 'send message' });
    }
    if (!change) return;
    const { asked, userId } = change;
    const about = 'messageId' in asked.data ? { messageId: asked.data.messageId } : {};
    this.denials.push({ code, userId, roomId: asked.data.roomId, request: asked.request, ...about });
  }

  #pushed({ device, message }: Of<'pushed'>): void {
    const chain = this.#chain(device);
    chain.pushed.push(message);
    chain.shown.set(`${message.roomId} ${message.seq}`, seenMessage(message));
    this.#see(`a push to ${device}`, [message]);
  }

  #told(entry: Of<'told'>): void {
    const { device, roomId, told } = entry;
    const chain = this.#chain(device);
    chain.told.push(entry);
    if (told.name === 'members') return;
    if (told.name === 'edit message') this.#see(`a push to ${device}`, [told.message]);
    const key = `${roomId} ${told.name === 'edit message' ? told.message.seq : told.seq}`;
    const shown = showTold(chain.shown.get(key), told);
    if (shown) chain.shown.set(key, shown);
  }

  #ask(asked: Of<'asked'>): void {
    const { userId } = this.#chain(asked.device);
    const known = this.#changesBy.get(asked.change);
    const change = known ?? { asked, device: asked.device, userId, tries: [], answer: undefined };
    if (!known) {
      this.#changesBy.set(asked.change, change);
      this.changes.push(change);
    }
    const attempt: Try<Of<'asked'>> = { asked, outcome: 'unknown', doneAt: Number.POSITIVE_INFINITY };
    change.tries.push(attempt);
    this.#asked.set(asked.attempt, { change, attempt });
  }

  #done(entry: Of<'done'>): void {
    const asked = this.#asked.get(entry.attempt);
    if (!asked) throw new Error(`the history has an answer to attempt ${entry.attempt}, which nobody made`);
    asked.attempt.outcome = 'acknowledged';
    asked.attempt.doneAt = entry.at;
    asked.change.answer = entry;
  }

  #logged({ roomId, events }: Of<'logged'>): void {
    const group = this.groups.get(roomId);
    if (!group) throw new Error(`the history does not say that ${roomId} is a group`);
    if (group.events.length === 0) group.due = events.length;
    group.events.push(...events);
  }

  #read({ attempt, at: doneAt, upTo }: Of<'read'>): void {
    const asked = this.#readings.get(attempt);
    if (!asked) throw new Error(`the history has an answer to attempt ${attempt}, which nobody made`);
    const { roomId, device, at: invokedAt } = asked;
    this.reads.push({ roomId, userId: this.#chain(device).userId, invokedAt, doneAt, upTo });
  }
}

/** A message as a device shows it after a push; undefined if it does not know the message. */
function showTold(seen: Seen | undefined, told: Exclude<Told, { name: 'members' }>): Seen | undefined {
  if (told.name === 'edit message') return seenMessage(told.message);
  if (told.name === 'delete message') return seenDeleted(told.seq, told.by);
  if (!seen) return undefined;
  const reaction = reactionOf(told.emoji, told.userId);
  const others = seen.reactions.filter((one) => one !== reaction);
  return { ...seen, reactions: told.on ? [...others, reaction].sort() : others };
}
