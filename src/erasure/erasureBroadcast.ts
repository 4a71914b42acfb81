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
const EvictRequest = z.strictObject({
  kind: z.literal('forget'),
  user: z.string(),
  at: z.array(z.strictObject({ partition: z.int().min(0), size: z.int().min(0) })),
});

/** What a node is given to answer; it may have to catch up first. */
const REPLY_LIMIT_MS = 8_000;
const RETRY_MS = 500;
/** After so long no memory trusts what it has: see `keyStore`, `textMemory` and `Profiles`. */
const CACHE_LIFETIME_MS = 60_000;

export interface ErasureBroadcastDeps {
  readonly bus: Pick<Bus, 'node' | 'request'>;
  readonly nodes: Pick<Nodes, 'listLive'>;
  /** What this node remembers of the user is gone when it resolves; it may be repeated. */
  readonly evictErasedUser: (user: UserId, at: readonly Moment[]) => Promise<void>;
  /** Of `performance.now()`. */
  readonly now?: () => number;
}

/** Makes every node forget a user whose key was destroyed. */
export class ErasureBroadcast {
  readonly #deps: ErasureBroadcastDeps;

  constructor(deps: ErasureBroadcastDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves when no node that lives has the user's key, name or words in memory, nor writes the name: when all have
   * said so, at the latest when what they remember is too old to be used. `at`: moments behind which nothing of the
   * user comes. Rejects when this node cannot do it, or it is not known who lives.
   */
  async evictEverywhere(user: UserId, at: readonly Moment[], signal: AbortSignal): Promise<void> {
    const { bus, nodes, evictErasedUser, now = () => performance.now() } = this.#deps;
    const until = now() + CACHE_LIFETIME_MS;
    await evictErasedUser(user, at);
    for (
      const done = new Set<NodeId>([bus.node]);
      now() < until;
      await pause(RETRY_MS, undefined, { signal })
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
    const asked = EvictRequest.safeParse(body);
    if (!asked.success) return undefined;
    const { user, at } = asked.data;
    return this.#deps.evictErasedUser(user, at).then(() => true);
  }

  /** The node, if it has forgotten. */
  async #ask(node: NodeId, user: UserId, at: readonly Moment[]): Promise<NodeId | undefined> {
    const reply = await this.#deps.bus.request(node, { kind: 'forget', user, at }, REPLY_LIMIT_MS);
    return typeof reply === 'object' && reply.reply === true ? node : undefined;
  }
}

/** What of a node remembers people. */
export interface UserCaches {
  readonly keys: Pick<CachedKeys, 'fresh'>;
  /** Resolves when the node has fanned out these moments; rejects if that takes too long. */
  readonly fannedOut: (at: readonly Moment[]) => Promise<void>;
  readonly texts: Pick<PlaintextCache, 'deleteOwner'>;
  readonly writers: { forget(user: UserId): void };
  readonly gateway: { forget(user: UserId): void };
  readonly projections: { eraseUsername(user: UserId): Promise<void> };
}

/**
 * Lets this node forget a user whose key was destroyed, which it asks of the vault itself: nobody is forgotten on
 * hearsay. The order matters: once the key is known to be destroyed nothing of the user is opened any more, and once
 * all of theirs is fanned out nothing that was opened before comes to be remembered.
 */
export async function evictErasedUser(parts: UserCaches, user: UserId, at: readonly Moment[]): Promise<void> {
  const key = (await parts.keys.fresh([user])).get(user);
  if (key !== 'destroyed') throw new VaultUnavailable(`the key of ${user} is not destroyed`);
  parts.writers.forget(user);
  await parts.fannedOut(at);
  parts.texts.deleteOwner(user);
  parts.gateway.forget(user);
  await parts.projections.eraseUsername(user);
}
