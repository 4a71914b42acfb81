import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';

/**
 * A conversation by hand: `npm run talk -- <token>` signs in and sends each line typed, an event and its data as
 * JSON. What comes from the server is printed as it is. `PARLEY_URL` names another server.
 */
const [token] = process.argv.slice(2);
const url = process.env.PARLEY_URL ?? 'ws://127.0.0.1:3000/ws';
const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

if (token === undefined) {
  print('usage: npm run talk -- <token of POST /user/signin>');
  process.exit(2);
}

const socket = new WebSocket(url);
let id = 0;
const send = (event: string, data: unknown) => socket.send(JSON.stringify({ id: ++id, event, data }));

socket.on('open', () => {
  send('identity', { token });
  print(`connected to ${url}; type an event and its data, such as: get active chats {}`);
  print(`a fresh UUID for a message: ${randomUUID()}`);
  createInterface({ input: process.stdin })
    .on('line', typed)
    .on('close', () => socket.close(1000));
});
socket.on('message', (data) => print(`< ${data.toString()}`));
socket.on('error', (error) => print(`cannot talk to ${url}: ${error.message}`));
socket.on('close', (code, reason) => {
  print(`closed: ${code} ${reason.toString()}`);
  process.exit(code === 1000 ? 0 : 1);
});

function typed(line: string): void {
  const [, event, data = '{}'] = /^\s*([a-z ]*?)\s*(\{.*\})?\s*$/.exec(line) ?? [];
  if (!event) return print('an event, then its data as JSON: read messages {"roomId": "…"}');
  let parsed: unknown;
  try {
    parsed = JSON.parse(data);
  } catch (error) {
    return print(`the data is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  send(event, parsed);
}
