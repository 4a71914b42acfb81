/** Where to search, and how many places to look at in one go: what is asked for together costs little more than one. */
export interface Search {
  /** Taken to be true; not looked at. */
  readonly low: number;
  /** The last place there is. */
  readonly high: number;
  readonly width: number;
}

/**
 * The last place of which something is true: once it is false, it stays so. `look` answers for places that ascend;
 * there are about log(high - low) / log(width + 1) calls of it.
 */
export async function lastTrue(
  search: Search,
  look: (places: readonly number[]) => Promise<readonly boolean[]>,
): Promise<number> {
  let { low, high } = search;
  while (low < high) {
    const span = high - low;
    const count = Math.min(search.width, span);
    const from = low;
    const places = Array.from({ length: count }, (_, i) => from + Math.ceil(((i + 1) * span) / (count + 1)));
    const answers = await look(places);
    const firstFalse = answers.indexOf(false);
    const [below, above] = firstFalse === -1 ? [count, undefined] : [firstFalse, places[firstFalse]];
    low = places[below - 1] ?? low;
    high = above === undefined ? high : above - 1;
  }
  return low;
}
