import { knownTypes } from './events/upcast.js';
import { foldedTables } from './projections/all.js';

/** What this version says of itself to nodes of others: the types of events that it can read, the tables that it folds. */
export const knowledge: readonly string[] = [...knownTypes, ...foldedTables];
