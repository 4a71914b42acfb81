import type { DeliveryRow, SubscriptionRow, SubscriptionTable } from '../../src/vault/vaultStore.js';

/** Subscriptions in memory, with the promises of the vault. `losePower` takes back what a loss of power may. */
export function memorySubscriptions(): SubscriptionTable & { losePower(): void } {
  const rows = new Map<string, SubscriptionRow>();
  const deliveries = new Map<string, DeliveryRow>();
  /** How to take back the writes since the last durable one, the newest last. */
  let undo: (() => void)[] = [];
  const placeOf = ({ subscription, partition }: DeliveryRow): string => `${subscription}/${partition}`;
  return {
    listSubscriptions: async () => [...rows.values()],
    async insertSubscription(row) {
      if (rows.has(row.id)) return false;
      rows.set(row.id, row);
      undo = [];
      return true;
    },
    async replaceSubscription(row) {
      if (rows.get(row.id)?.version !== row.version - 1) return false;
      rows.set(row.id, row);
      undo = [];
      return true;
    },
    async removeSubscription(id) {
      rows.delete(id);
      undo = [];
      for (const [place, { subscription }] of deliveries) if (subscription === id) deliveries.delete(place);
    },
    listDeliveries: async (id) => [...deliveries.values()].filter(({ subscription }) => subscription === id),
    async putDelivery(row) {
      deliveries.set(placeOf(row), row);
      undo = [];
    },
    async replaceDelivery(row, from) {
      if (deliveries.get(placeOf(row))?.tag !== from) return false;
      deliveries.set(placeOf(row), row);
      undo = [];
      return true;
    },
    async replaceDeliverySoon(row, from) {
      const before = deliveries.get(placeOf(row));
      if (before?.tag !== from) return false;
      deliveries.set(placeOf(row), row);
      undo.push(() => deliveries.set(placeOf(row), before));
      return true;
    },
    losePower() {
      for (const takeBack of undo.reverse()) takeBack();
      undo = [];
    },
  };
}
