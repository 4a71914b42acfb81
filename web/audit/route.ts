import { addressOf } from '../console/route.js';

/** The console's views. Each has its own address. */
export const views = ['events', 'past', 'message', 'proof', 'heads'] as const;
export type View = (typeof views)[number];

/** The address of a view. Leaves out parameters without a value. */
export const hrefOf = (view: View, query?: Readonly<Record<string, string | undefined>>): string =>
  addressOf(view, query);
