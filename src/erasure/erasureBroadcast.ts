import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { VaultUnavailable } from '../base/errors.js';
import type { Bus, NodeId } from '../cluster/bus.js';
import type { Nodes } from '../cluster/nodes.js';
import type { Moment } from '../domain/commands.js';
import type { UserId } from '../domain/ids.js';
import type { PlaintextCache } from '../vault/textOpener.js';
import type { CachedKeys } from '../vault/vault.js';

/** Asks a node to forget a user, once it has fanned out these moments. */
const Forget = z.strictObject({
  kind: z.literal('forget'),
  user: z.string(),
  at: z.array(z.strictObject({ partition: z.int().min(0), size: z.int().min(0) })),
});

/** What a node is given to answer; it may have to catch up first. */
const ANSWER_MS = 8_000;
const AGAIN_MS = 500;
/** After so long no memory trusts what it has: see `keyStore`, `textMemory` and `Profiles`. */
const TRUSTED_MS = 60_000;

export interface ForgettingDeps {
  readonly bus: Pick<Bus, 'node' | 'request'>;
  readonly nodes: Pick<Nodes, 'listLive'>;
  /** What this node remembers of the user is gone when it resolves; it may be repeated. */
  readonly forgetHere: (user: UserId, at: readonly Moment[]) => Promise<void>;
  /** Of `performance.now()`. */
  readonly now?: () => number;
}

/** Makes every node forget a user whose key was destroyed. */
export class Forgetting {
  readonly #deps: ForgettingDeps;

  constructor(deps: ForgettingDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves when no node that lives has the user's key, name or words in memory, nor writes the name: when all have
   * said so, at the latest when what they remember is too old to be used. `at`: moments behind which nothing of the
   * user comes. Rejects when this node cannot do it, or it is not known who lives.
   */
  async everywhere(user: UserId, at: readonly Moment[], signal: AbortSignal): Promise<void> {
    const { bus, nodes, forgetHere, now = () => performance.now() } = this.#deps;
    const until = now() + TRUSTED_MS;
    await forgetHere(user, at);
    for (
      const done = new Set<NodeId>([bus.node]);
      now() < until;
      await pause(AGAIN_MS, undefined, { signal })
    ) {
      // Asked after the key was destroyed: a node that begins later never has it.
      const others = (await nodes.listLive()).filter(({ node }) => !done.has(node));
      if (others.length === 0) return;
      const told = await Promise.all(others.map(({ node }) => this.#ask(node, user, at)));
      for (const node of told) if (node !== undefined) done.add(node);
    }
  }

  /** What another node asks of this one; undefined if it is something else. */
  serve(body: unknown): Promise<true> | undefined {
    const asked = Forget.safeParse(body);
    if (!asked.success) return undefined;
    const { user, at } = asked.data;
    return this.#deps.forgetHere(user, at).then(() => true);
  }

  /** The node, if it has forgotten. */
  async #ask(node: NodeId, user: UserId, at: readonly Moment[]): Promise<NodeId | undefined> {
    const reply = await this.#deps.bus.request(node, { kind: 'forget', user, at }, ANSWER_MS);
    return typeof reply === 'object' && reply.reply === true ? node : undefined;
  }
}

/** What of a node remembers people. */
export interface Memories {
  readonly keys: Pick<CachedKeys, 'fresh'>;
  /** Resolves when the node has fanned out these moments; rejects if that takes too long. */
  readonly fannedOut: (at: readonly Moment[]) => Promise<void>;
  readonly texts: Pick<PlaintextCache, 'deleteOwner'>;
  readonly writers: { forget(user: UserId): void };
  readonly gateway: { forget(user: UserId): void };
  readonly projections: { unlist(user: UserId): Promise<void> };
}

/**
 * Lets this node forget a user whose key was destroyed, which it asks of the vault itself: nobody is forgotten on
 * hearsay. The order matters: once the key is known to be destroyed nothing of the user is opened any more, and once
 * all of theirs is fanned out nothing that was opened before comes to be remembered.
 */
export async function forgetHere(parts: Memories, user: UserId, at: readonly Moment[]): Promise<void> {
  const key = (await parts.keys.fresh([user])).get(user);
  if (key !== 'destroyed') throw new VaultUnavailable(`the key of ${user} is not destroyed`);
  parts.writers.forget(user);
  await parts.fannedOut(at);
  parts.texts.deleteOwner(user);
  parts.gateway.forget(user);
  await parts.projections.unlist(user);
}
