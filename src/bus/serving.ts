import type { Bus, NodeId, Reply } from './bus.js';

/** Requests under way at once on one node, and their size in bytes; what goes beyond is not taken. */
const MAX_UNDER_WAY = 1024;
const MAX_BYTES_UNDER_WAY = 32 * 1024 * 1024;

type Handler = Parameters<Bus['serve']>[0];

/** What a node does with the requests made to it. */
export class Serving {
  readonly #report: (message: string, error: unknown) => void;
  #handler: Handler | undefined;
  #underWay = 0;
  #bytes = 0;
  #isClosed = false;

  constructor(report: (message: string, error: unknown) => void) {
    this.#report = report;
  }

  /** As `Bus.serve`. */
  serve(handler: Handler): () => void {
    if (this.#handler) throw new Error('requests to this node have a handler already');
    this.#handler = handler;
    return () => {
      if (this.#handler === handler) this.#handler = undefined;
    };
  }

  /** Takes nothing more. */
  close(): void {
    this.#isClosed = true;
  }

  /** Hands a request of so many bytes to the handler, in the caller's turn, and says what came of it, however late. */
  async answer(body: unknown, from: NodeId, bytes: number): Promise<Reply> {
    const isFull = this.#underWay >= MAX_UNDER_WAY || this.#bytes + bytes > MAX_BYTES_UNDER_WAY;
    if (!this.#handler || this.#isClosed || isFull) return 'nobody';
    this.#underWay++;
    this.#bytes += bytes;
    try {
      return { reply: await this.#handler(body, from) };
    } catch (error) {
      this.#report(`a request of node ${from} failed`, error);
      return 'silent';
    } finally {
      this.#underWay--;
      this.#bytes -= bytes;
    }
  }
}

/** The answer, or `silent` when it takes longer. */
export async function within(timeoutMs: number, answer: Promise<Reply>): Promise<Reply> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'silent'>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, 'silent');
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
