import { setTimeout as wait } from 'node:timers/promises';
import { type Sender, takeMessages } from '../load.js';
import { firstSend } from '../wire/dialect.js';

const everyMs = 50;
const beforeMs = 3000;
const afterMs = 15_000;

/**
 * Runs `fault` while every sender sends a message to its room every 50 ms. Returns the longest time, in milliseconds,
 * in which any one sender got no acknowledgement. Refused messages are not sent again.
 */
export async function longestGapMs(senders: readonly Sender[], fault: () => Promise<void>): Promise<number> {
  const first = takeMessages(Math.ceil(((beforeMs + afterMs) / everyMs) * senders.length * 2));
  let sent = 0;
  let longest = 0;
  const acknowledgedAt = senders.map(() => performance.now());
  const note = (sender: number) => {
    const now = performance.now();
    longest = Math.max(longest, now - (acknowledgedAt[sender] ?? now));
    acknowledgedAt[sender] = now;
  };
  senders.forEach(({ connection }, i) => {
    connection.listener = { acknowledged: () => note(i) };
  });
  const timer = setInterval(() => {
    for (const { connection, template } of senders) {
      const message = first + sent++;
      connection.send(template.fill(firstSend + message, message));
    }
  }, everyMs);
  try {
    await wait(beforeMs);
    longest = 0;
    const ended = fault();
    await wait(afterMs);
    await ended;
  } finally {
    clearInterval(timer);
    for (const { connection } of senders) connection.listener = {};
  }
  // A sender that is still without acknowledgements counts until now.
  for (const i of senders.keys()) note(i);
  return longest;
}
