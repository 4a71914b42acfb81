import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { VaultUnavailable } from '../base/errors.js';
import type { Bus, NodeId } from '../cluster/bus.js';
import type { Nodes } from '../cluster/nodes.js';
import type { Moment } from '../domain/commands.js';
import type { UserId } from '../domain/ids.js';
import type { PlaintextCache } from '../vault/textOpener.js';
import { type CachedKeys, ERASED_WITHIN_MS } from '../vault/vault.js';

/** Asks a node to evict a user from its caches, once it has pushed these moments. */
const EvictRequest = z.strictObject({
  kind: z.literal('evict'),
  user: z.string(),
  at: z.array(z.strictObject({ partition: z.int().min(0), size: z.int().min(0) })),
});

/** The time limit for a node's answer; the node may have to catch up first. */
const REPLY_LIMIT_MS = 8_000;
const RETRY_MS = 500;

export interface ErasureBroadcastDeps {
  readonly bus: Pick<Bus, 'node' | 'request'>;
  readonly nodes: Pick<Nodes, 'listLive'>;
  /** Resolves when this node's caches hold nothing of the user. May be repeated. */
  readonly evictErasedUser: (user: UserId, at: readonly Moment[]) => Promise<void>;
  /** Milliseconds, monotonic. */
  readonly now?: () => number;
}

/** Evicts a user whose key was destroyed from the caches of every node. */
export class ErasureBroadcast {
  readonly #deps: ErasureBroadcastDeps;

  constructor(deps: ErasureBroadcastDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves when no live node holds the user's key, name or texts in memory, or writes the name. That is
   * when all have answered, or when their cache entries have expired. `at`: moments behind which nothing of
   * the user comes. Rejects if this node fails, or if the live nodes are unknown.
   */
  async evictEverywhere(user: UserId, at: readonly Moment[], signal: AbortSignal): Promise<void> {
    const { bus, nodes, evictErasedUser, now = () => performance.now() } = this.#deps;
    const until = now() + ERASED_WITHIN_MS;
    await evictErasedUser(user, at);
    for (
      const done = new Set<NodeId>([bus.node]);
      now() < until;
      await pause(RETRY_MS, undefined, { signal })
    ) {
      // Listed after the key was destroyed, so a node that starts later never reads it.
      const others = (await nodes.listLive()).filter(({ node }) => !done.has(node));
      if (others.length === 0) return;
      const told = await Promise.all(others.map(({ node }) => this.#ask(node, user, at)));
      for (const node of told) if (node !== undefined) done.add(node);
    }
  }

  /** Answers another node's request; undefined if the body is another kind of request. */
  serve(body: unknown): Promise<true> | undefined {
    const asked = EvictRequest.safeParse(body);
    if (!asked.success) return undefined;
    const { user, at } = asked.data;
    return this.#deps.evictErasedUser(user, at).then(() => true);
  }

  /** Returns the node if it has evicted the user. */
  async #ask(node: NodeId, user: UserId, at: readonly Moment[]): Promise<NodeId | undefined> {
    const reply = await this.#deps.bus.request(node, { kind: 'evict', user, at }, REPLY_LIMIT_MS);
    return typeof reply === 'object' && reply.reply === true ? node : undefined;
  }
}

/** The parts of a node that cache users' data. */
export interface UserCaches {
  readonly keys: Pick<CachedKeys, 'fetchKeys'>;
  /** Resolves when the node has pushed these moments; rejects if that takes too long. */
  readonly fannedOut: (at: readonly Moment[]) => Promise<void>;
  readonly texts: Pick<PlaintextCache, 'deleteOwner'>;
  readonly gateway: { forget(user: UserId): void };
  readonly projections: { eraseUsername(user: UserId): Promise<void> };
}

/**
 * Evicts a user from this node's caches, after the vault confirms that the key is destroyed. The order
 * matters. Once the key is known to be destroyed, nothing of the user can be opened. Once all moments are
 * pushed, nothing opened earlier can enter a cache.
 */
export async function evictErasedUser(parts: UserCaches, user: UserId, at: readonly Moment[]): Promise<void> {
  const key = (await parts.keys.fetchKeys([user])).get(user);
  if (key !== 'destroyed') throw new VaultUnavailable(`the key of user ${user} is not destroyed yet`);
  await parts.fannedOut(at);
  parts.texts.deleteOwner(user);
  parts.gateway.forget(user);
  await parts.projections.eraseUsername(user);
}
