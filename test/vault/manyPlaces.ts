import { openSqliteVaultStore } from '../../src/vault/openVault.js';

/** The places that the program below stores. */
export const MANY_PLACES = 100;

/** A program: stores places of a subscription in the vault of a directory, soon or not. */
if (process.argv[1]?.endsWith('manyPlaces.js')) {
  const [, , dataDir = '', isSoon] = process.argv;
  const store = openSqliteVaultStore(dataDir);
  const row = { subscription: 'a', partition: 0, progress: '{}' };
  await store.putDelivery({ ...row, tag: '0' });
  for (let n = 1; n <= MANY_PLACES; n++) {
    const replace = isSoon === 'true' ? store.replaceDeliverySoon : store.replaceDelivery;
    if (!(await replace({ ...row, tag: String(n) }, String(n - 1)))) throw new Error(`${n} is not stored`);
  }
  await store.close();
}
