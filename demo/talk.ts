import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';

/**
 * A command-line client: `npm run talk -- <token>` connects and sends every typed line, which is an event name and its
 * data as JSON. Prints every frame from the server. Set `PARLEY_URL` to use another server.
 */
const [token] = process.argv.slice(2);
const url = process.env.PARLEY_URL ?? 'ws://127.0.0.1:3000/ws';
const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

if (token === undefined) {
  print('Usage: npm run talk -- <token>. You get a token from POST /user/signin.');
  process.exit(2);
}

const socket = new WebSocket(url);
let id = 0;
const send = (event: string, data: unknown) => socket.send(JSON.stringify({ id: ++id, event, data }));

socket.on('open', () => {
  send('identity', { token });
  print(`Connected to ${url}. Type an event name and its data, for example: get active chats {}`);
  print(`You can use this UUID as a messageId: ${randomUUID()}`);
  createInterface({ input: process.stdin })
    .on('line', typed)
    .on('close', () => socket.close(1000));
});
socket.on('message', (data) => print(`< ${data.toString()}`));
socket.on('error', (error) => print(`Connection to ${url} failed: ${error.message}`));
socket.on('close', (code, reason) => {
  print(`Connection closed: ${code} ${reason.toString()}`);
  process.exit(code === 1000 ? 0 : 1);
});

function typed(line: string): void {
  const [, event, data = '{}'] = /^\s*([a-z ]*?)\s*(\{.*\})?\s*$/.exec(line) ?? [];
  if (!event)
    return print('Type an event name, then its data as JSON, for example: read messages {"roomId": "…"}');
  let parsed: unknown;
  try {
    parsed = JSON.parse(data);
  } catch (error) {
    return print(`The data is not valid JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  send(event, parsed);
}
