import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Server } from 'socket.io';
import { type Message, PeerStore } from './store.js';

/**
 * The system to compare with: socket.io in front of one SQLite table. It inserts a message before it acknowledges the
 * message and pushes it to the room. It has no accounts, no redelivery after a restart, no read marks and no audit.
 * With `--no-store`, it inserts no message: no server on socket.io can be faster.
 */

interface SendMessage {
  readonly roomId: string;
  readonly messageId: string;
  readonly message: string;
}
interface FetchMessages {
  readonly roomId: string;
  readonly after?: number;
  readonly limit: number;
}
type Answer<T> = (answer: T | { error: string }) => void;
interface ClientEvents {
  'send message': (data: SendMessage, answer: Answer<{ message: Message }>) => void;
  'fetch messages': (data: FetchMessages, answer: Answer<{ messages: Message[] }>) => void;
}
interface ServerEvents {
  'send message': (push: { message: Message }) => void;
}
interface SocketData {
  userId: string;
}

const [directory, option] = process.argv.slice(2);
if (directory === undefined || (option !== undefined && option !== '--no-store'))
  throw new Error('usage: server.js <directory> [--no-store]');
const keep = option === undefined;
let unstored = 0;
const store = new PeerStore(join(directory, 'peer.db'));
const http = createServer((request, response) => {
  serve(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
});
const io = new Server<ClientEvents, ServerEvents, Record<string, never>, SocketData>(http, {
  transports: ['websocket'],
  perMessageDeflate: false,
  serveClient: false,
});

io.use((socket, next) => {
  const { token } = socket.handshake.auth;
  const userId = typeof token === 'string' ? store.userOf(token) : undefined;
  if (userId === undefined) return next(new Error('unauthenticated'));
  socket.data.userId = userId;
  next();
});

io.on('connection', (socket) => {
  socket.join(store.roomsOf(socket.data.userId));

  socket.on('send message', ({ roomId, messageId, message }, answer) => {
    if (!socket.rooms.has(roomId)) return answer({ error: 'not_found' });
    if (typeof message !== 'string' || message.length === 0 || message.length > 8192)
      return answer({ error: 'bad_request' });
    const sentAt = new Date().toISOString();
    const sent = { messageId, roomId, senderId: socket.data.userId, message, sentAt };
    const numbered = keep ? store.addMessage(sent) : { ...sent, seq: ++unstored };
    answer({ message: numbered });
    socket.to(roomId).emit('send message', { message: numbered });
  });

  socket.on('fetch messages', ({ roomId, after, limit }, answer) => {
    if (!socket.rooms.has(roomId)) return answer({ error: 'not_found' });
    answer({ messages: store.messages(roomId, after, limit) });
  });
});

/** Creates users, rooms and old messages, for the benchmark only. */
async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer); // a request without an encoding gives buffers
  const body = JSON.parse(Buffer.concat(chunks).toString()); // trusted: it comes from the benchmark
  const reply = (answer: unknown) => response.end(JSON.stringify(answer));
  if (request.url === '/users') reply(store.addUsers(body.count));
  else if (request.url === '/rooms') reply(store.addRooms(body.pairs));
  else if (request.url === '/fill') reply(store.fill(body.roomId, body.senderId, body.count) ?? {});
  else response.writeHead(404).end();
}

http.listen(0, '127.0.0.1', () => {
  const { port } = http.address() as AddressInfo; // it listens on TCP
  process.stdout.write(`listening on http://127.0.0.1:${port}\n`);
});

process.once('SIGTERM', () => {
  store.close();
  process.exit(0);
});
