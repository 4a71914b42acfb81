import { openAuditedLog } from '../audit/storedRows.js';
import { systemClock } from '../base/clock.js';
import { Egress } from '../base/egress.js';
import { ConfigError } from '../base/settings.js';
import type { Bus } from '../cluster/bus.js';
import type { NodeRouter } from '../cluster/commandRouter.js';
import { Cursors } from '../gateway/cursor.js';
import { SendHook } from '../gateway/sendHook.js';
import type { Engine } from '../projections/store/engine.js';
import { EventFeed } from '../subscriptions/eventFeed.js';
import { HostSubscriptions } from '../subscriptions/hostSubscriptions.js';
import { endsOf, Places } from '../subscriptions/places.js';
import { SubscriptionSenders } from '../subscriptions/subscriptionSenders.js';
import type { SubscriptionStore } from '../vault/subscriptionStore.js';
import type { Host } from './lifecycle.js';
import type { Stores } from './openStores.js';

/** The way of the log's events to the host's server. */
export interface EventDelivery {
  readonly subscriptions: HostSubscriptions;
  readonly feed: EventFeed;
  readonly senders: SubscriptionSenders;
}

/** Throws `ConfigError` if `HOOK_SEND` is no permitted address. */
export async function checkSendHook({ config }: Pick<Host, 'config'>): Promise<void> {
  const { HOOK_SEND, EGRESS_ALLOW } = config;
  if (HOOK_SEND === undefined) return;
  const fault = await new Egress(EGRESS_ALLOW).check(HOOK_SEND);
  if (fault !== undefined) throw new ConfigError(`HOOK_SEND: ${fault}`);
}

/** Asks the host before a message, if the settings say so. */
export function openSendHook({
  config: { HOOK_SEND: url, HOOK_SECRET: secret, HOOK_SEND_FAIL: onFailure, EGRESS_ALLOW },
  logger,
  metrics,
}: Pick<Host, 'config' | 'logger'> & Pick<Host, 'metrics'>): SendHook | undefined {
  if (url === undefined || secret === undefined) return undefined;
  const hook = new SendHook({ url, secret, onFailure }, new Egress(EGRESS_ALLOW), logger);
  metrics.addQueue('hook', () => hook.depth);
  return hook;
}

/** Prepares what sends events to the host. Nothing is sent before `startEventDelivery`. */
export function prepareEventDelivery(
  { config, logger, metrics, closers }: Host,
  { engine, vault }: Pick<Stores, 'engine' | 'vault'>,
  { bus, commands }: { readonly bus: Bus; readonly commands: NodeRouter },
): EventDelivery {
  const { log } = engine;
  const { keys, subscriptions: store } = vault;
  const egress = new Egress(config.EGRESS_ALLOW);
  const places = new Places(log, new Cursors(log.history, log.partitions));
  const environment = { clock: systemClock, now: Date.now, logger };
  const senders = new SubscriptionSenders({
    each: { log, store, keys, egress, environment },
    owned: () => commands.owned,
    onGone: (gone) => subscriptions.pauseGone({ commands, by: 'system' }, gone),
  });
  const subscriptions = new HostSubscriptions({ store, log, places, egress, senders });
  const feed = new EventFeed({ log, keys, places });
  const unsubscribe = [bus.subscribe(senders.receive), bus.subscribe(feed.receive)];
  closers.add(() => {
    for (const end of unsubscribe) end();
  });
  metrics.addSubscriptions(() => senders.lags());
  return { subscriptions, feed, senders };
}

/** Starts sending. */
export function startEventDelivery({ closers }: Host, { senders }: EventDelivery): void {
  senders.start();
  closers.add(() => senders.stop());
}

/**
 * Moves all subscriptions to the present end of a log that was put back, under the history that is to begin: its places
 * are used again from there on.
 */
export async function moveToEnd(
  engine: Engine,
  store: Pick<SubscriptionStore, 'list' | 'put'>,
  history: string,
): Promise<void> {
  const log = await openAuditedLog(engine);
  try {
    const ends = await endsOf(log);
    for (const { id } of await store.list())
      for (const [partition, size] of ends.entries()) await store.put(id, partition, { history, size });
  } finally {
    await log.close();
  }
}
