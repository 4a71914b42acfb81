import type { DeliveryRow, SubscriptionRow, SubscriptionTable } from '../../src/vault/vaultStore.js';

/** Subscriptions in memory, with the promises of the vault. */
export function memorySubscriptions(): SubscriptionTable {
  const rows = new Map<string, SubscriptionRow>();
  const deliveries = new Map<string, DeliveryRow>();
  const placeOf = ({ subscription, partition }: DeliveryRow): string => `${subscription}/${partition}`;
  return {
    listSubscriptions: async () => [...rows.values()],
    async insertSubscription(row) {
      if (rows.has(row.id)) return false;
      rows.set(row.id, row);
      return true;
    },
    async replaceSubscription(row) {
      if (rows.get(row.id)?.version !== row.version - 1) return false;
      rows.set(row.id, row);
      return true;
    },
    async removeSubscription(id) {
      rows.delete(id);
      for (const [place, { subscription }] of deliveries) if (subscription === id) deliveries.delete(place);
    },
    listDeliveries: async (id) => [...deliveries.values()].filter(({ subscription }) => subscription === id),
    async putDelivery(row) {
      deliveries.set(placeOf(row), row);
    },
    async replaceDelivery(row, from) {
      if (deliveries.get(placeOf(row))?.tag !== from) return false;
      deliveries.set(placeOf(row), row);
      return true;
    },
  };
}
