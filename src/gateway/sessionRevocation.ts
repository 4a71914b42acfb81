import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import type { Bus } from '../cluster/bus.js';
import type { Nodes } from '../cluster/nodes.js';
import { REVOCATION_DELAY_MS } from '../vault/sessions.js';
import type { SessionStore } from '../vault/vault.js';

/** Asks a node to forget these sessions, and to close their sockets. */
const Ended = z.strictObject({ kind: z.literal('ended'), sessions: z.array(z.string()) });

export interface EndingsDeps {
  readonly bus: Pick<Bus, 'node' | 'broadcast' | 'request'>;
  readonly nodes: Pick<Nodes, 'listLive'>;
  readonly sessions: Pick<SessionStore, 'noteRevoked'>;
}

/** Carries the ends of sessions to the other nodes. Each looks into the vault too, so that none depends on it. */
export class Endings {
  readonly #deps: EndingsDeps;

  constructor(deps: EndingsDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves when no node honours these sessions any more: they have ended in the vault. That is when all that live
   * have said so, at the latest after a second.
   */
  async announce(sessions: readonly string[]): Promise<void> {
    if (sessions.length === 0) return;
    const ending = new AbortController();
    const late = pause(REVOCATION_DELAY_MS, undefined, { signal: ending.signal }).catch(() => undefined); // Not needed.
    this.#deps.bus.broadcast({ kind: 'ended', sessions });
    const told = this.#tellAll(sessions).then((known) => (known ? undefined : late));
    await Promise.race([told, late]);
    ending.abort();
  }

  /** What another node asks of this one; undefined if it is something else. */
  serve(body: unknown): Promise<true> | undefined {
    const asked = Ended.safeParse(body);
    if (!asked.success) return undefined;
    this.#deps.sessions.noteRevoked(asked.data.sessions);
    return Promise.resolve(true);
  }

  /** Whether every node that lives has heard of it. */
  async #tellAll(sessions: readonly string[]): Promise<boolean> {
    const { bus, nodes } = this.#deps;
    try {
      // Asked after the end: a node that begins later finds it in the vault.
      const others = (await nodes.listLive()).filter(({ node }) => node !== bus.node);
      const replies = await Promise.all(
        others.map(({ node }) => bus.request(node, { kind: 'ended', sessions }, REVOCATION_DELAY_MS)),
      );
      return replies.every((reply) => typeof reply === 'object');
    } catch {
      return false; // Nobody knows who lives: time tells.
    }
  }
}
