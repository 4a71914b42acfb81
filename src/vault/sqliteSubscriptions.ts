import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import type { DeliveryRow, SubscriptionRow } from './vaultStore.js';

/** The host's subscriptions in the embedded vault: see `SubscriptionTable`. */
export function sqliteSubscriptions(db: DatabaseSyncInstance) {
  db.exec(`
    CREATE TABLE IF NOT EXISTS subscriptions (
      id TEXT PRIMARY KEY, version INTEGER NOT NULL, sealed TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS deliveries (
      subscription TEXT NOT NULL, partition INTEGER NOT NULL, tag TEXT NOT NULL, progress TEXT NOT NULL,
      PRIMARY KEY (subscription, partition)) WITHOUT ROWID;
  `);
  const statements = {
    subscriptions: db.prepare('SELECT * FROM subscriptions ORDER BY id'),
    insertSubscription: db.prepare('INSERT INTO subscriptions VALUES (?, ?, ?) ON CONFLICT DO NOTHING'),
    replaceSubscription: db.prepare(
      'UPDATE subscriptions SET version = ?, sealed = ? WHERE id = ? AND version = ?',
    ),
    removeSubscription: db.prepare('DELETE FROM subscriptions WHERE id = ?'),
    removeDeliveries: db.prepare('DELETE FROM deliveries WHERE subscription = ?'),
    deliveries: db.prepare('SELECT * FROM deliveries WHERE subscription = ? ORDER BY partition'),
    putDelivery: db.prepare(`INSERT INTO deliveries VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET tag = excluded.tag, progress = excluded.progress`),
    replaceDelivery: db.prepare(
      'UPDATE deliveries SET tag = ?, progress = ? WHERE subscription = ? AND partition = ? AND tag = ?',
    ),
  };
  const replaceDelivery = ({ subscription, partition, tag, progress }: DeliveryRow, from: string): boolean =>
    statements.replaceDelivery.run(tag, progress, subscription, partition, from).changes === 1;
  // Rows have the columns of their tables.
  return {
    listSubscriptions: (): SubscriptionRow[] => statements.subscriptions.all() as SubscriptionRow[],
    insertSubscription: ({ id, version, sealed }: SubscriptionRow): boolean =>
      statements.insertSubscription.run(id, version, sealed).changes === 1,
    replaceSubscription: ({ id, version, sealed }: SubscriptionRow): boolean =>
      statements.replaceSubscription.run(version, sealed, id, version - 1).changes === 1,
    removeSubscription(id: string): void {
      statements.removeSubscription.run(id);
      statements.removeDeliveries.run(id);
    },
    listDeliveries: (subscription: string): DeliveryRow[] =>
      statements.deliveries.all(subscription) as DeliveryRow[],
    putDelivery({ subscription, partition, tag, progress }: DeliveryRow): void {
      statements.putDelivery.run(subscription, partition, tag, progress);
    },
    replaceDelivery,
    replaceDeliverySoon(row: DeliveryRow, from: string): boolean {
      // The next commit with a sync makes this one durable too, as both are in one write-ahead log.
      db.exec('PRAGMA synchronous = NORMAL');
      try {
        return replaceDelivery(row, from);
      } finally {
        db.exec('PRAGMA synchronous = FULL');
      }
    },
  };
}
