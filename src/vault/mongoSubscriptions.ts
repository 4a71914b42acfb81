import type { Db, UpdateOptions } from 'mongodb';
import { isDuplicateKey } from '../base/mongo.js';
import type { DeliveryRow, SubscriptionRow, SubscriptionTable } from './vaultStore.js';

type SubscriptionDocument = Omit<SubscriptionRow, 'id'> & { readonly _id: string };
type DeliveryDocument = DeliveryRow & { readonly _id: string };

const deliveryId = ({ subscription, partition }: Pick<DeliveryRow, 'subscription' | 'partition'>): string =>
  `${subscription}/${partition}`;

/** The host's subscriptions in MongoDB, a document each, and one for each of their partitions: see `SubscriptionTable`. */
export function createSubscriptionTable(db: Db): SubscriptionTable {
  const subscriptions = db.collection<SubscriptionDocument>('subscriptions');
  const deliveries = db.collection<DeliveryDocument>('deliveries');
  const replaceDelivery = async (
    { tag, progress, ...place }: DeliveryRow,
    from: string,
    options: UpdateOptions = {},
  ): Promise<boolean> => {
    const { matchedCount } = await deliveries.updateOne(
      { _id: deliveryId(place), tag: from },
      { $set: { tag, progress } },
      options,
    );
    return matchedCount === 1;
  };
  return {
    async listSubscriptions() {
      const rows = await subscriptions.find().sort({ _id: 1 }).toArray();
      return rows.map(({ _id, ...row }) => ({ id: _id, ...row }));
    },
    async insertSubscription({ id, ...row }) {
      try {
        await subscriptions.insertOne({ _id: id, ...row });
        return true;
      } catch (error) {
        if (isDuplicateKey(error)) return false;
        throw error;
      }
    },
    async replaceSubscription({ id, version, sealed }) {
      const { matchedCount } = await subscriptions.updateOne(
        { _id: id, version: version - 1 },
        { $set: { version, sealed } },
      );
      return matchedCount === 1;
    },
    async removeSubscription(id) {
      await subscriptions.deleteOne({ _id: id });
      await deliveries.deleteMany({ subscription: id });
    },
    async listDeliveries(subscription) {
      // An id has no `/`, so that these are the documents of this subscription alone.
      const rows = await deliveries
        .find({ _id: { $gte: `${subscription}/`, $lt: `${subscription}0` } })
        .toArray();
      return rows.map(({ _id: _, ...row }) => row).sort((a, b) => a.partition - b.partition);
    },
    async putDelivery(row) {
      const _id = deliveryId(row);
      const { matchedCount } = await deliveries.updateOne({ _id }, { $set: { ...row } });
      if (matchedCount === 1) return;
      try {
        await deliveries.insertOne({ _id, ...row });
      } catch (error) {
        if (!isDuplicateKey(error)) throw error;
        await deliveries.updateOne({ _id }, { $set: { ...row } });
      }
    },
    replaceDelivery: (row, from) => replaceDelivery(row, from),
    // The primary alone. A majority that has a later write has this one too.
    replaceDeliverySoon: (row, from) => replaceDelivery(row, from, { writeConcern: { w: 1 } }),
  };
}
