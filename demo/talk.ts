import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';

/**
 * A command-line client: `npm run talk -- <token>`, or `npm run talk` with the token in `TOKEN`, connects and sends every typed line, which is an event name and its
 * data as JSON. Prints every frame from the server. Connects to `PARLEY_URL`, or to `PORT` on this machine. At the end of
 * its input it waits for open answers. Exits with 1 if the server refuses a request, or closes the connection.
 */
const [token = process.env.TOKEN] = process.argv.slice(2);
const url = process.env.PARLEY_URL ?? `ws://127.0.0.1:${process.env.PORT ?? 3000}/ws`;
/** How long it waits for open answers at the end of its input. */
const ANSWERS_MS = 10_000;
const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

// A token is random and may begin with a hyphen, so only these two ask for help.
if (token === undefined || token === '--help' || token === '-h') {
  print(
    'Usage: npm run talk -- <token>, or TOKEN=<token> npm run talk. You get a token from POST /user/signin.',
  );
  print(
    'PORT names the port of a server on this machine, or PARLEY_URL another one: ws://127.0.0.1:3001/ws.',
  );
  process.exit(2);
}

const socket = new WebSocket(url);
let id = 0;
let isEnding = false;
let isRefused = false;
/** Requests without an answer, by id. */
const open = new Set<unknown>();
function send(event: string, data: unknown): void {
  open.add(++id);
  socket.send(JSON.stringify({ id, event, data }));
}
function endWhenAnswered(): void {
  if (isEnding && open.size === 0) socket.close(1000);
}

socket.on('open', () => {
  send('identity', { token });
  print(`Connected to ${url}. Type an event name and its data, for example: get active chats {}`);
  print(`You can use this UUID as a messageId: ${randomUUID()}`);
  createInterface({ input: process.stdin })
    .on('line', typed)
    .on('close', () => {
      isEnding = true;
      endWhenAnswered();
      setTimeout(() => socket.close(1000), ANSWERS_MS);
    });
});
socket.on('message', (data) => {
  const text = data.toString();
  print(`< ${text}`);
  const frame: { readonly id?: unknown; readonly error?: unknown } = JSON.parse(text);
  if (frame.error !== undefined) isRefused = true;
  open.delete(frame.id);
  endWhenAnswered();
});
socket.on('error', (error) => print(`Connection to ${url} failed: ${error.message}`));
socket.on('close', (code, reason) => {
  print(`Connection closed: ${code} ${reason.toString()}`);
  process.exit(code === 1000 && !isRefused ? 0 : 1);
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
