/** The most a commit may hold; bytes are of UTF-8. A leaf must fit the 16-bit length of an entry bundle. */
export const caps = { events: 256, bytes: 256 * 1024, leafBytes: 65_535 } as const;

/** More than a commit may hold: a defect of whoever gathered it; nothing was built. */
export class CommitTooLarge extends Error {
  override readonly name = 'CommitTooLarge';
  constructor(
    readonly what: keyof typeof caps,
    readonly is: number,
  ) {
    super(`a commit with ${is} ${what}: at most ${caps[what]} are allowed`);
  }
}

/** Throws `CommitTooLarge` if one commit must not hold these leaves. */
export function checkCaps(leaves: readonly string[]): void {
  if (leaves.length > caps.events) throw new CommitTooLarge('events', leaves.length);
  let bytes = 0;
  for (const leaf of leaves) {
    const length = Buffer.byteLength(leaf);
    if (length > caps.leafBytes) throw new CommitTooLarge('leafBytes', length);
    bytes += length;
  }
  if (bytes > caps.bytes) throw new CommitTooLarge('bytes', bytes);
}
