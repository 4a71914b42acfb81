/**
 * Runs one at a time: a call while one is under way asks for one more after it, which begins later
 * than the call, and which all such calls share.
 */
export function oneAfterOther(run: () => Promise<void>): () => Promise<void> {
  let current: Promise<void> | undefined;
  let following: Promise<void> | undefined;
  const begin = (): Promise<void> => {
    following = undefined;
    current = run().finally(() => {
      if (following === undefined) current = undefined;
    });
    return current;
  };
  return () => {
    if (current === undefined) return begin();
    following ??= current.then(begin, begin);
    return following;
  };
}

/** Runs one at a time: a call while one is under way joins it. */
export function oneForAll(run: () => Promise<void>): () => Promise<void> {
  let current: Promise<void> | undefined;
  return () => {
    current ??= run().finally(() => {
      current = undefined;
    });
    return current;
  };
}
