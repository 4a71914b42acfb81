import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import type { Message } from '../../../packages/client/src/types.js';
import { untilFound } from '../../support/eventually.js';
import { runs } from '../../support/lanes.js';
import type { Place } from '../../support/people.js';
import type { Frame, RawSocket } from '../../support/rawSocket.js';
import { chatOf, Newcomer, say } from '../newcomer.js';

type Step =
  | { readonly do: 'say'; readonly by: number; readonly in: number; readonly times: number }
  | { readonly do: 'read'; readonly by: number; readonly in: number }
  /** `kept`: how much, in percent, of what came it has handled when its connection is cut. */
  | { readonly do: 'cut'; readonly by: number; readonly kept: number }
  | { readonly do: 'resume'; readonly by: number }
  | { readonly do: 'restart' };

const DEVICES = 4;
/** The code with which a server closes a connection that shall come back. */
const RESTARTS = 1012;
const by = fc.nat(DEVICES - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('say' as const),
      by,
      in: fc.nat(1),
      times: fc.integer({ min: 1, max: 6 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('read' as const), by, in: fc.nat(1) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('cut' as const),
      by,
      kept: fc.integer({ min: 0, max: 100 }),
    }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('resume' as const), by }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
);

/** A device that keeps its cursor after handling each push, and forgets the rest when it is cut off. */
class Handset {
  readonly pushed: Message[] = [];
  /** Its own, as answered. */
  readonly sent: Message[] = [];
  #cursor: string | undefined;
  #socket: RawSocket | undefined;

  constructor(readonly owner: Newcomer) {}

  async resume(): Promise<RawSocket> {
    this.#socket ??= await this.owner.device(this.#cursor);
    this.#cursor ??= this.#socket.cursor;
    return this.#socket;
  }

  async cut(percent: number): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    await socket.cut();
    this.#handle(socket.frames.slice(0, Math.round((socket.frames.length * percent) / 100)));
  }

  async say(roomId: string, times: number): Promise<void> {
    const requests = Array.from({ length: times }, () => ({ roomId, messageId: randomUUID(), message: 'x' }));
    const answers = await this.#use((socket) =>
      Promise.all(requests.map((data) => socket.persist('send message', data))),
    );
    this.sent.push(...answers.map(({ message }) => message));
  }

  async read(roomId: string): Promise<void> {
    await this.#use((socket) => socket.persist('read messages', { roomId }));
  }

  /** Comes back for what it has missed. */
  async catchUp(): Promise<void> {
    await this.cut(100);
    await this.#use((socket) => socket.push('identity'));
  }

  async hear({ messageId }: Message): Promise<void> {
    const socket = await this.resume();
    await socket.push('send message', ({ message }) => message.messageId === messageId);
  }

  /** Does it on its connection. When the server ends that, because it cannot read what was missed, on another one. */
  async #use<T>(act: (socket: RawSocket) => Promise<T>): Promise<T> {
    const { done } = await untilFound('a device has done it', async () => {
      const socket = await this.resume();
      try {
        return { done: await act(socket) };
      } catch (error) {
        if (!socket.isClosed || (await socket.closed) !== RESTARTS) throw error;
        await this.cut(100);
        return undefined;
      }
    });
    return done;
  }

  #handle(frames: readonly Frame[]): void {
    for (const { id, event, data, cursor } of frames) {
      if (id !== undefined || cursor === undefined) continue;
      // The data of this push has a message.
      if (event === 'send message') this.pushed.push((data as { message: Message }).message);
      this.#cursor = cursor;
    }
  }
}

/** What every device has in the end, whatever happened to its connections. */
export function traffic(place: Place, restart: () => Promise<void>): void {
  it('gives each device each message exactly once and in order, over random traffic and losses', async function () {
    this.timeout(300_000);
    const property = fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
      const people = await Promise.all([0, 1, 2].map(() => Newcomer.at(place)));
      const [ada, ben, cleo] = people as [Newcomer, Newcomer, Newcomer]; // As many as were made.
      const handsets = [ben, ben, ada, cleo].map((owner) => new Handset(owner));
      const opener = await ben.device();
      const rooms = [await chatOf(opener, ada), await chatOf(opener, cleo)] as const;
      await opener.cut();
      await Promise.all(handsets.map((handset) => handset.resume()));
      // Ben is in both rooms, the others in one each.
      const roomOf = (at: number, room: number) => rooms[at === 2 ? 0 : at === 3 ? 1 : room] ?? rooms[0];
      const isIn = (at: number, roomId: string) => [roomOf(at, 0), roomOf(at, 1)].includes(roomId);

      for (const next of steps) {
        if (next.do === 'restart') {
          await Promise.all(handsets.map((handset) => handset.cut(50)));
          await restart();
          continue;
        }
        const handset = handsets[next.by] as Handset; // `by` is below their number.
        if (next.do === 'say') await handset.say(roomOf(next.by, next.in), next.times);
        else if (next.do === 'read') await handset.read(roomOf(next.by, next.in));
        else if (next.do === 'cut') await handset.cut(next.kept);
        else await handset.resume();
      }
      for (const handset of handsets) await handset.catchUp();
      // Their nodes may be told of messages only now, after the replay: of all of them before they are told of these.
      const closer = await ben.device();
      const last = [await say(closer, rooms[0], 'the end'), await say(closer, rooms[1], 'the end')];
      for (const [at, handset] of handsets.entries()) {
        for (const message of last) if (isIn(at, message.roomId)) await handset.hear(message);
        await handset.cut(100);
      }
      await closer.cut();

      const said = [...handsets.flatMap(({ sent }) => sent), ...last];
      for (const [at, { pushed, sent }] of handsets.entries())
        for (const roomId of rooms) {
          const mine = (messages: readonly Message[]) =>
            messages.filter((message) => message.roomId === roomId).map(({ seq }) => seq);
          const got = mine(pushed);
          expect(got, `device ${at}: in order, and none twice`).to.deep.equal(
            [...new Set(got)].sort((a, b) => a - b),
          );
          // What it sent itself it has by the answer, or by the push, or by both.
          const all = new Set([...got, ...mine(sent)]);
          expect(all.size, `device ${at}: none missing`).to.equal(isIn(at, roomId) ? mine(said).length : 0);
        }
    });
    await fc.assert(property, { numRuns: runs(2), endOnFailure: true });
  });
}
