import type { Logger } from 'pino';
import { z } from 'zod';
import { monotonicNow } from '../base/clock.js';
import { Deque } from '../base/collections.js';
import type { Egress } from '../base/egress.js';
import { messageOf } from '../base/errors.js';
import { BoundedLog, OUTAGE_LINE_LIMIT } from '../base/rateLimits.js';
import { signedHeaders } from '../base/webhooks.js';
import type { Held } from '../domain/defineCommand.js';
import type { MessageRef, UserId } from '../domain/ids.js';

/** The host has this long to answer. */
const ANSWER_MS = 500;
const ANSWER_BYTES = 4096;
/** Questions under way at once, and those that wait for a place. With both full the host cannot be asked. */
const MOST_QUESTIONS = 64;
const MOST_WAITING = 512;

const Answer = z.union([
  z.object({ allow: z.literal(true) }),
  z.object({
    allow: z.literal(false),
    detail: z
      .string()
      .regex(/^[\w.-]{1,64}$/)
      .exactOptional(),
  }),
]);

/** A new text, before it is decided. An edit has an `editId`. */
export interface SendQuestion extends MessageRef {
  readonly userId: UserId;
  readonly message: string;
  readonly editId?: string;
}

export interface SendHookSettings {
  readonly url: string;
  readonly secret: string;
  /** What becomes of a text that the host cannot be asked about. */
  readonly onFailure: 'closed' | 'open';
}

function readAnswer(body: string): z.output<typeof Answer> | undefined {
  try {
    return Answer.parse(JSON.parse(body));
  } catch {
    return undefined;
  }
}

/** Asks the host whether a new text may be sent: `HOOK_SEND`. */
export class SendHook {
  readonly #settings: SendHookSettings;
  readonly #egress: Pick<Egress, 'request'>;
  readonly #lines: BoundedLog;
  readonly #waiting = new Deque<() => void>();
  #asking = 0;

  constructor(settings: SendHookSettings, egress: Pick<Egress, 'request'>, logger: Logger) {
    this.#settings = settings;
    this.#egress = egress;
    this.#lines = new BoundedLog(logger, monotonicNow, OUTAGE_LINE_LIMIT);
  }

  /** The questions that wait for a place or an answer. */
  get depth(): number {
    return this.#waiting.length + this.#asking;
  }

  /** What the host says of a text; undefined: it may pass. Never rejects. */
  async ask(question: SendQuestion): Promise<Held | undefined> {
    if (this.#asking >= MOST_QUESTIONS) {
      if (this.#waiting.length >= MOST_WAITING) return this.#notAsked(new Error('too many questions wait'));
      // Who leaves hands the place over.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#asking++;
    try {
      return await this.#request(question);
    } catch (error) {
      return this.#notAsked(error);
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#asking--;
    }
  }

  async #request(data: SendQuestion): Promise<Held | undefined> {
    const { url, secret } = this.#settings;
    const outgoing = { id: `snd_${data.messageId}`, body: JSON.stringify({ type: 'before.send', data }) };
    const { status, body } = await this.#egress.request(url, {
      method: 'POST',
      headers: signedHeaders(outgoing, [secret], new Date()),
      body: outgoing.body,
      timeoutMs: ANSWER_MS,
      maxBytes: ANSWER_BYTES,
    });
    if (status < 200 || status > 299) throw new Error(`the host answered with status ${status}`);
    const answer = readAnswer(body);
    if (!answer) throw new Error('the host answered with no {"allow": true} or {"allow": false}');
    if (answer.allow) return undefined;
    return { why: 'refused', ...(answer.detail === undefined ? {} : { detail: answer.detail }) };
  }

  #notAsked(error: unknown): Held | undefined {
    const { onFailure } = this.#settings;
    // The message names the cause. A stack would only lead to this file.
    const why = messageOf(error);
    this.#lines.write('warn', 'the host could not be asked about a message', { why, onFailure });
    return onFailure === 'open' ? undefined : { why: 'not asked' };
  }
}
