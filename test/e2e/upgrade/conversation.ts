import { check, type Violation } from '../../faults/cluster/checker.js';
import { lookEverywhere } from '../../faults/cluster/closing.js';
import type { Device } from '../../faults/cluster/device.js';
import { History } from '../../faults/cluster/history.js';
import { load } from '../../faults/cluster/load.js';
import {
  type FrontDoor,
  gather,
  newPeople,
  type Person,
  pairUp,
  type Room,
} from '../../faults/cluster/people.js';
import type { Random } from '../../support/random.js';

/** So many that there is a pair for every partition, all but surely. */
const PEOPLE = 10;
const SLICE_MS = 300;

/** People who write, read and move about between the nodes until they are asked to end, and all that they saw. */
export class Conversation {
  readonly #history = new History();
  readonly #doors: readonly FrontDoor[];
  readonly #random: Random;
  #rooms: readonly Room[] = [];
  #devices: readonly Device[] = [];
  #isOver = false;
  #written: Promise<unknown> = Promise.resolve();

  private constructor(doors: readonly FrontDoor[], random: Random) {
    this.#doors = doors;
    this.#random = random;
  }

  /** Signs them up and lets them begin. */
  static async begin(doors: readonly FrontDoor[], partitions: number, random: Random): Promise<Conversation> {
    const conversation = new Conversation(doors, random);
    await conversation.#begin(await newPeople(doors, PEOPLE, 1), partitions);
    return conversation;
  }

  /** One of those who talk, signed in by this token. */
  get token(): string {
    const [first] = this.#rooms;
    const [token] = first?.members[0].tokens ?? [];
    if (token === undefined) throw new Error('there is nobody who talks');
    return token;
  }

  /** Lets them finish, looks at every node at what is there now, and gives what breaks a promise. */
  async end(): Promise<readonly Violation[]> {
    this.#isOver = true;
    await this.#written;
    await lookEverywhere(
      this.#devices,
      { pairs: this.#rooms, groups: [] },
      this.#doors,
      this.#history,
      this.#random,
    );
    this.close();
    return check(this.#history.entries);
  }

  close(): void {
    this.#isOver = true;
    for (const device of this.#devices) device.close();
  }

  /** The longest time, in ms, in which no message of some room was acknowledged. */
  get longestPauseMs(): number {
    const lastIn = new Map<string, number>();
    let longest = 0;
    for (const entry of this.#history.entries) {
      if (entry.kind !== 'acknowledged') continue;
      const { roomId } = entry.message;
      longest = Math.max(longest, entry.at - (lastIn.get(roomId) ?? entry.at));
      lastIn.set(roomId, entry.at);
    }
    return longest;
  }

  async #begin(people: readonly Person[], partitions: number): Promise<void> {
    this.#rooms = pairUp(people, partitions, 1);
    const talkers = people.filter((person) => this.#rooms.some(({ members }) => members.includes(person)));
    this.#devices = await gather(talkers, this.#rooms, this.#doors, this.#history, this.#random);
    // Each for itself, so that one that hangs at a node holds up nobody.
    this.#written = Promise.all(this.#devices.map((device) => this.#talk(device)));
  }

  async #talk(device: Device): Promise<void> {
    const mine = this.#rooms.filter(({ members }) => members.some(({ userId }) => userId === device.userId));
    while (!this.#isOver) {
      await load([device], { pairs: mine, groups: [] }, SLICE_MS, this.#random);
      // Else marks are moved by sending, mostly.
      await Promise.all(mine.map(({ roomId }) => device.read(roomId)));
    }
  }
}
