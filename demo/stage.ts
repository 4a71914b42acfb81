import type { Message } from '../packages/client/src/types.js';
import { type Device, newDevice, type Person, type Place, signUp } from '../test/support/people.js';
import { cast, type Line, type Name, pairs } from './script.js';

/** A device of one of the people. */
export interface Player {
  readonly name: Name;
  /** `Ada's phone` */
  readonly title: string;
  readonly device: Device;
}

/** All devices, and the room of each pair of people. */
export class Stage {
  private constructor(
    readonly players: readonly Player[],
    private readonly rooms: ReadonlyMap<string, string>,
    private readonly names: ReadonlyMap<string, Name>,
  ) {}

  /** Signs up all people, connects their devices and opens their rooms. */
  static async set(place: Place): Promise<Stage> {
    // The keys of `cast` are its names.
    const names = Object.keys(cast) as Name[];
    const people = new Map<Name, Person>();
    for (const name of names) people.set(name, await signUp(place, name));
    const players: Player[] = [];
    for (const [name, person] of people) {
      for (const on of cast[name]) {
        players.push({ name, title: `${name}'s ${on}`, device: await newDevice(place, person) });
      }
    }
    await Promise.all(players.map(({ device }) => device.client.ready));
    const rooms = new Map<string, string>();
    for (const [one, other] of pairs) {
      const player = players.find(({ name }) => name === one);
      const friend = people.get(other);
      if (player && friend) rooms.set(`${one} ${other}`, await player.device.chatWith(friend));
    }
    return new Stage(players, rooms, new Map([...people].map(([name, { user }]) => [user.userId, name])));
  }

  /** Sends a message; resolves when the server has acknowledged it. */
  async say({ by, on, to, text }: Line): Promise<Message> {
    return this.player(`${by}'s ${on}`).device.say(this.room(by, to), text);
  }

  player(title: string): Player {
    const player = this.players.find((each) => each.title === title);
    if (!player) throw new Error(`there is no device ${title}`);
    return player;
  }

  room(one: Name, other: Name): string {
    const room = this.rooms.get(`${one} ${other}`) ?? this.rooms.get(`${other} ${one}`);
    if (room === undefined) throw new Error(`${one} and ${other} have no room`);
    return room;
  }

  nameOf(userId: string): string {
    return this.names.get(userId) ?? userId;
  }

  get unsent(): number {
    return this.players.reduce((sum, { device }) => sum + device.outbox.waiting.length, 0);
  }
}
