import { z } from 'zod';
import type { Timer } from '../base/clock.js';
import type { Bus, NodeId } from '../cluster/bus.js';
import type { Nodes } from '../cluster/nodes.js';
import { REVOCATION_DELAY_MS } from '../vault/sessionStore.js';
import { REVOCATION_CAUSES, type RevocationCause, type SessionStore } from '../vault/vault.js';

/** Asks a node to forget these sessions, and to close their sockets. */
const RevocationRequest = z.strictObject({
  kind: z.literal('revokedSessions'),
  sessions: z.array(z.string()).readonly(),
  why: z.enum(REVOCATION_CAUSES).exactOptional(),
});

export interface SessionRevocationDeps {
  readonly node: NodeId;
  readonly bus: Pick<Bus, 'broadcast' | 'request'>;
  readonly nodes: Pick<Nodes, 'listLive'>;
  readonly sessions: Pick<SessionStore, 'noteRevoked'>;
  readonly setTimer: Timer;
}

/** Tells the other nodes which sessions have ended. Each looks into the vault too, so that none depends on it. */
export class SessionRevocation {
  readonly #deps: SessionRevocationDeps;

  constructor(deps: SessionRevocationDeps) {
    this.#deps = deps;
  }

  /**
   * Takes sessions that have ended in the vault. Resolves when no node honours them any more: when all living nodes
   * have confirmed it, at the latest after 1 s.
   */
  async announce(sessions: readonly string[], why?: RevocationCause): Promise<void> {
    if (sessions.length === 0) return;
    const note = { kind: 'revokedSessions', sessions, ...(why && { why }) } as const;
    this.#deps.bus.broadcast(note);
    await new Promise<void>((resolve) => {
      const cancel = this.#deps.setTimer(resolve, REVOCATION_DELAY_MS);
      void this.#askAll(note).then((isKnown) => {
        if (!isKnown) return;
        cancel();
        resolve();
      });
    });
  }

  /** Answers another node's request; undefined if it is none of these. */
  serve(body: unknown): Promise<true> | undefined {
    const request = RevocationRequest.safeParse(body);
    if (!request.success) return undefined;
    this.#deps.sessions.noteRevoked(request.data.sessions, request.data.why);
    return Promise.resolve(true);
  }

  /** Whether every living node has confirmed it. */
  async #askAll(note: z.infer<typeof RevocationRequest>): Promise<boolean> {
    const { node: me, bus, nodes } = this.#deps;
    try {
      // Asked after the end: a node that begins later finds it in the vault.
      const others = (await nodes.listLive()).filter(({ node }) => node !== me);
      const replies = await Promise.all(
        others.map(({ node }) => bus.request(node, note, REVOCATION_DELAY_MS)),
      );
      return replies.every((reply) => typeof reply === 'object');
    } catch {
      return false; // Which nodes live is not known: after 1 s every node has looked into the vault.
    }
  }
}
