/**
 * A seeded random number generator from 0 (inclusive) to 1 (exclusive), so that every server gets the same schedule.
 * The algorithm is mulberry32 by Tommy Ettinger, in the public domain.
 */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
