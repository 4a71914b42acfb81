/** Scripts that run in a page and look at what the browser keeps of chats for the next opening. */

/** Resolves with what the databases of all users have in this table. */
const read = (table: string, request: string): string => `indexedDB.databases().then((all) =>
  Promise.all(all.map(({ name }) => new Promise((resolve, reject) => {
    const opening = indexedDB.open(name);
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const db = opening.result;
      const reading = db.transaction('${table}').objectStore('${table}').${request};
      reading.onsuccess = () => { db.close(); resolve(reading.result); };
    };
  }))))`;

/** Resolves with the kept records of all users, each as its database has it. */
const records = `${read('device', "get('state')")}.then((all) => all.filter((record) => record !== undefined))`;

/** How many users have a record. */
export const KEPT = `${records}.then(({ length }) => length)`;

/** All that the records hold, as text. */
export const keptText = `${records}.then((all) => JSON.stringify(all, (_, value) =>
  value instanceof Map || value instanceof Set ? [...value] : value))`;

/** All that waits to be sent, as text. */
export const unsentText = `${read('entries', 'getAll()')}.then((all) => JSON.stringify(all))`;
