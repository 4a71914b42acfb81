/** `npm run soak`: the long form of every suite. */
export const isSoak = process.env.SOAK === 'true';

/** How much is played in `npm test` and in CI. */
const SHORT = { worlds: 400, faultRounds: 2, kills: 3, deliveryRounds: 16, examples: 1 } as const;
/** The same in the long form. */
export const LONG = {
  ...{ worlds: 10_000, faultRounds: 20, kills: 50 },
  ...{ deliveryRounds: 1000, examples: 10 },
} as const;

/**
 * Simulated worlds, rounds of faults on a cluster, kills of a server on each engine, and rounds in which a receiver of
 * events or the server is killed.
 */
export const { worlds, faultRounds, kills, deliveryRounds } = isSoak ? LONG : SHORT;

/** How many examples a property is tried with: `short`, or a multiple of it in the long form. */
export const runs = (short: number): number => short * (isSoak ? LONG : SHORT).examples;
