/** How long a condition is waited for: long enough for a busy machine, and then it is a failure. */
export const PATIENCE_MS = 60_000;
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [10, 50];

/**
 * Waits until `condition` holds. Looks again after 10 ms at first and 50 ms at last, because a look often asks a server.
 * Rejects after a minute, naming `what`.
 */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  let pauseMs = FIRST_PAUSE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`still not so after ${PATIENCE_MS / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    pauseMs = Math.min(pauseMs + 1, LONGEST_PAUSE_MS);
  }
}
