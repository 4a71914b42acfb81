import { mapLimited } from '../batches.js';
import { takeMessages } from '../load.js';
import type { Running, System } from '../systems/system.js';
import type { WireConnection } from '../wire/connection.js';
import { firstSend } from '../wire/dialect.js';
import type { FrameTemplate } from '../wire/frames.js';
import { comparedRow, type Goal, type Measure, median, withAll } from './measure.js';

const devices = 500;
const messages = 100;
const rounds = 5;
const openAtOnce = 16;
const roundTimeoutMs = 60_000;
const goal: Goal = {
  text: '≥ 5× socket.io',
  peers: ['socket.io'],
  isReached: (rate, { 'socket.io': peer }) => rate >= 5 * peer,
};

interface Audience {
  readonly system: System;
  readonly running: Running;
  readonly friend: WireConnection;
  readonly template: FrameTemplate;
  readonly connections: readonly WireConnection[];
  /** Deliveries a second, by round. */
  readonly rates: number[];
}

async function gather(system: System): Promise<Audience> {
  const running = await system.start();
  const [friend, user] = await running.signUp(2);
  if (!friend || !user) throw new Error('signing up two users returned fewer');
  const [roomId] = await running.rooms([[friend, user]]);
  return {
    system,
    running,
    friend: await running.connect(friend),
    template: running.dialect.template(roomId ?? '', 'x'.repeat(100)),
    connections: await mapLimited(Array.from({ length: devices }), openAtOnce, () => running.connect(user)),
    rates: [],
  };
}

/** The friend sends all messages at once. Returns the milliseconds until every device has each message exactly once. */
function burst({ friend, template, connections }: Audience): Promise<number> {
  const first = takeMessages(messages);
  let open = devices * messages;
  const from = performance.now();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`${open} deliveries were missing after 60 s`)),
      roundTimeoutMs,
    );
    friend.listener = { refused: (_message, code) => reject(new Error(`a send was refused: ${code}`)) };
    for (const connection of connections) {
      let next = first;
      connection.listener = {
        delivered(message) {
          if (message !== next++)
            reject(new Error(`message ${message} was delivered instead of message ${next - 1}`));
          if (--open > 0) return;
          clearTimeout(timer);
          resolve(performance.now() - from);
        },
      };
    }
    for (let message = first; message < first + messages; message++)
      friend.send(template.fill(firstSend + message, message));
  });
}

/** Measures how fast one room's messages reach many connections. */
export const fanOut: Measure = {
  name: 'burst',
  run: ({ systems, log }) =>
    withAll(
      systems,
      gather,
      async ({ connections, friend, running }) => {
        for (const connection of [friend, ...connections]) connection.close();
        await running.stop();
      },
      async (audiences) => {
        for (const audience of audiences) await burst(audience);
        for (let round = 0; round < rounds; round++)
          for (const audience of audiences) {
            const { system, running, rates } = audience;
            const cpu = -running.server.cpuMicros();
            const ms = await burst(audience);
            rates.push((devices * messages * 1000) / ms);
            const cost = (cpu + running.server.cpuMicros()) / (devices * messages);
            log(
              `${system.name}: ${messages} messages to ${devices} devices in ${ms.toFixed(0)} ms, ${cost.toFixed(1)} µs CPU per delivery`,
            );
          }
        const figures = audiences.map(({ system, rates }) => ({
          system: system.name,
          value: median(rates),
          isSound: true,
        }));
        const title = `deliveries/s of a burst to ${devices} connections`;
        return [comparedRow(title, goal, figures, (rate) => `${Math.round(rate).toLocaleString('en')}/s`)];
      },
    ),
};
