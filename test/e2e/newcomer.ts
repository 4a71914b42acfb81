import { randomUUID } from 'node:crypto';
import { Rest } from '../../packages/client/src/rest.js';
import type { Message, User } from '../../packages/client/src/types.js';
import { insist } from '../support/insist.js';
import { type Place, signUp } from '../support/people.js';
import { RawSocket } from '../support/rawSocket.js';

let names = 0;

/** Somebody of this test alone, signed up and signed in. */
export class Newcomer {
  private constructor(
    private readonly place: Place,
    readonly user: User,
    readonly token: string,
    readonly password: string,
  ) {}

  /** Tries again, under another name, while it is refused for the time being. */
  static at(place: Place): Promise<Newcomer> {
    return insist('somebody new is signed in', async () => {
      const { user, username, password } = await signUp(place, `newcomer-${process.pid}-${++names}`);
      const { token } = await new Rest(place.url).signIn(username, password);
      return new Newcomer(place, user, token, password);
    });
  }

  get userId(): string {
    return this.user.userId;
  }

  /** One more device of theirs; with a cursor it resumes. */
  device(cursor?: string): Promise<RawSocket> {
    return RawSocket.open(this.place.wsUrl, this.token, cursor);
  }

  /** A device with a sign-in of its own. */
  async signedIn(): Promise<{ token: string; device: RawSocket }> {
    const { token } = await new Rest(this.place.url).signIn(this.user.username ?? '', this.password);
    return { token, device: await RawSocket.open(this.place.wsUrl, token) };
  }
}

/** The chat of two, active for the first of them. Repeated while it is refused for the time being. */
export async function chatOf(device: RawSocket, other: Newcomer): Promise<string> {
  const { room } = await device.persist('init chat', { friendId: other.userId });
  return room.roomId;
}

/** Sends a message with an id of its own. Repeated while it is refused for the time being. */
export async function say(device: RawSocket, roomId: string, message: string): Promise<Message> {
  const answer = await device.persist('send message', { roomId, messageId: randomUUID(), message });
  return answer.message;
}

/** Waits until a device was pushed this text. */
export async function hear(device: RawSocket, text: string): Promise<Message> {
  const { data } = await device.push('send message', ({ message }) => message.message === text);
  return data.message;
}

/** The texts of messages pushed to a device, in the order they came. */
export const heard = (device: RawSocket): (string | null)[] =>
  device.pushed('send message').map(({ message }) => message.message);

/** Two people with a device each, and their chat, in which one message was said and heard. */
export async function talk(place: Place) {
  const [ada, ben] = await two(place);
  const [phone, tablet] = [await ada.device(), await ben.device()];
  const roomId = await chatOf(phone, ben);
  const hello = await say(phone, roomId, 'hello');
  await hear(tablet, 'hello');
  return { ada, ben, phone, tablet, roomId, hello };
}

/** Two newcomers. */
export async function two(place: Place): Promise<readonly [Newcomer, Newcomer]> {
  return [await Newcomer.at(place), await Newcomer.at(place)];
}
