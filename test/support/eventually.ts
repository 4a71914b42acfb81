/** How long a condition is waited for: long enough for a busy machine, and then it is a failure. */
const PATIENCE_MS = 60_000;
const LOOK_EVERY_MS = 10;

/** Waits until `condition` holds, looking again every 10 ms; rejects after a minute, naming `what`. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`still not so after ${PATIENCE_MS / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
