/** Numbers from 0 to 1 that are the same for the same seed (mulberry32, Tommy Ettinger, public domain). */
export type Random = () => number;

/** Starts the row of numbers of a seed, an unsigned 32-bit integer. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `SEED`, which plays a failed run again, or a new seed. */
export const newSeed = (): number => Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));

/** A whole number from 0 to `below` − 1. */
export const upTo = (below: number, random: Random): number => Math.floor(random() * below);

/** Runs `body` with a seed, which a failure names. */
export async function withSeed(body: (random: Random) => Promise<void>): Promise<void> {
  const seed = newSeed();
  try {
    await body(seeded(seed));
  } catch (cause) {
    throw new Error(`failed with SEED=${seed}`, { cause });
  }
}
