import { setTimeout as wait } from 'node:timers/promises';
import { type Sender, takeMessages } from './load.js';
import { firstSend } from './wire/dialect.js';

const refusedPauseMs = 50;
const stuckMs = 60_000;

/**
 * Sends `count` messages with at most `inFlight` unacknowledged ones. Sends a refused message again. Rejects if the
 * server acknowledges nothing for a minute.
 */
export async function fillRoom(
  { connection, template }: Sender,
  count: number,
  inFlight = 256,
): Promise<void> {
  const first = takeMessages(count);
  let sent = 0;
  let acknowledged = 0;
  let progressAt = performance.now();
  const send = (message: number) => connection.send(template.fill(firstSend + message, message));

  await new Promise<void>((resolve, reject) => {
    const watchdog = setInterval(() => {
      if (performance.now() - progressAt > stuckMs)
        finish(
          new Error(`no acknowledgement for 60 s: ${acknowledged} of ${count} messages were acknowledged`),
        );
    }, 1000);
    const finish = (error?: Error) => {
      clearInterval(watchdog);
      connection.listener = {};
      if (error) reject(error);
      else resolve();
    };
    connection.listener = {
      acknowledged() {
        acknowledged++;
        progressAt = performance.now();
        if (acknowledged === count) finish();
        else if (sent < count) send(first + sent++);
      },
      refused(message) {
        wait(refusedPauseMs).then(() => send(message), reject);
      },
    };
    while (sent < Math.min(inFlight, count)) send(first + sent++);
  });
}
