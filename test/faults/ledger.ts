import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { Message } from '../../packages/client/src/types.js';
import type { Device } from '../support/people.js';

/** What was sent and what was acknowledged, to be held against what the server has. */
export class Ledger {
  readonly #sent = new Map<string, { roomId: string; text: string }>();
  readonly #acknowledged = new Map<string, Message>();
  readonly #onAcknowledged = new Set<() => void>();

  /** How many commands were acknowledged, those about groups included. */
  acknowledged = 0;

  /** The newest revision in any answer so far. A query with it sees every acknowledged command, whoever asks. */
  revision: string | undefined;

  /** Sends from a device, with no bound on time; resolves once it is acknowledged. */
  async send(device: Device, roomId: string, text: string): Promise<void> {
    const messageId = randomUUID();
    this.#sent.set(messageId, { roomId, text });
    const data = { roomId, messageId, message: text };
    const { message, revision } = await device.client.request('send message', data, {
      timeoutMs: Number.POSITIVE_INFINITY,
    });
    this.#acknowledged.set(messageId, message);
    this.revision = laterOf(this.revision, revision);
    this.count();
  }

  /** Counts a command that was acknowledged. */
  count(): void {
    this.acknowledged++;
    for (const look of this.#onAcknowledged) look();
  }

  /** Resolves in the turn in which the `n`th command of the run is acknowledged. */
  async until(n: number): Promise<void> {
    if (this.acknowledged >= n) return;
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (this.acknowledged < n) return;
        this.#onAcknowledged.delete(look);
        resolve();
      };
      this.#onAcknowledged.add(look);
    });
  }

  /** A room must hold each acknowledged message once, as acknowledged, and nothing that nobody sent. */
  check(roomId: string, history: readonly Message[]): void {
    expectWhole(history);
    const byId = new Map(history.map((message) => [message.messageId, message]));
    expect(byId.size, 'a message id is used once').to.equal(history.length);
    for (const message of this.#acknowledged.values()) {
      if (message.roomId === roomId) expect(byId.get(message.messageId)).to.deep.equal(message);
    }
    for (const { messageId, message } of history) {
      expect(this.#sent.get(messageId)).to.deep.equal({ roomId, text: message });
    }
  }
}

/** `seq` must be 1, 2, 3 …, without a hole or a repeat, in the order given. */
export function expectWhole(messages: readonly Message[]): void {
  expect(messages.map(({ seq }) => seq)).to.deep.equal(messages.map((_, n) => n + 1));
}

/** The later of two revisions of one room. Answers to commands that were under way together come in any order. */
export const laterOf = (known: string | undefined, answered: string): string =>
  known !== undefined && sizeIn(known) > sizeIn(answered) ? known : answered;

/** The size of the partition of the log that a revision names. */
function sizeIn(revision: string): number {
  const size = Number.parseInt(revision.split('.')[2] ?? '', 36);
  if (!(size > 0)) throw new Error(`this is no revision: ${revision}`);
  return size;
}
