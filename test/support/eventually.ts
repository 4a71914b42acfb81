/** How long a condition is waited for: long enough for a busy machine, and then it is a failure. */
export const PATIENCE_MS = 60_000;
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [10, 50];

/**
 * Waits until `condition` holds. Looks again after 10 ms at first and 50 ms at last, because a look often asks a server.
 * Rejects after a minute, naming `what`, also when a look has no end.
 */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  let isOver = false;
  const look = async (): Promise<void> => {
    let pauseMs = FIRST_PAUSE_MS;
    while (!isOver && !(await condition())) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      pauseMs = Math.min(pauseMs + 1, LONGEST_PAUSE_MS);
    }
  };
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`still not so after ${PATIENCE_MS / 1000} s: ${what}`)),
      PATIENCE_MS,
    );
  });
  await Promise.race([look(), tooLate]).finally(() => {
    isOver = true;
    clearTimeout(timer);
  });
}

/** Waits as `eventually` does until `look` finds something, and resolves with that. */
export async function untilFound<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  let found: T | undefined;
  await eventually(what, async () => {
    found = await look();
    return found !== undefined;
  });
  return found as T; // It was found.
}
