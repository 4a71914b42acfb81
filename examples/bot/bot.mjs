// Answers every message that people write in a room of the bot. It hears of messages by a subscription of Parley, and
// speaks by the host's API. PARLEY_KEY is from `npx parley key add bot --scopes users,messages,events`.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { Webhook } from 'standardwebhooks';

const { PARLEY_URL = 'http://127.0.0.1:3000', PARLEY_KEY, PORT = '8090' } = process.env;
const { BOT_URL = `http://127.0.0.1:${PORT}` } = process.env;

async function ask(method, path, body) {
  const headers = { authorization: `Bearer ${PARLEY_KEY}`, 'content-type': 'application/json' };
  const sent = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) };
  const response = await fetch(`${PARLEY_URL}/server${path}`, sent);
  return { status: response.status, json: await response.json().catch(() => undefined) };
}

async function mustAsk(method, path, body) {
  const { status, json } = await ask(method, path, body);
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${json?.detail}`);
  return json;
}

/** Always the same id for the answer to a message: who is told twice of a message answers once. */
function answerId(messageId) {
  const hex = createHash('sha256').update(`answer to ${messageId}`).digest('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5');
}

async function hear({ actor, data: { roomId, messageId, seq, text: said } }) {
  console.log(`heard message ${seq} of room ${roomId}`);
  if (actor === bot.userId || said === null) return;
  const message = `You said: ${said}`;
  const body = { senderId: bot.userId, message, replyTo: messageId };
  const { status } = await ask('PUT', `/rooms/${roomId}/messages/${answerId(messageId)}`, body);
  // In rooms that the bot is not in, it has nothing to say. Whatever may pass is told again by Parley.
  if (status >= 429) throw new Error(`the answer was refused: ${status}`);
}

const { user: bot } = await mustAsk('PUT', '/users/ext:bot', { username: 'bot', bot: true });
const subscription = { url: BOT_URL, types: ['MessageSent'] };
const made = await mustAsk('PUT', '/subscriptions/bot', subscription);
// Parley shows a secret once. A bot that was started again asks for a new one.
const { secret } = made.secret ? made : await mustAsk('POST', '/subscriptions/bot/rotate');
const webhook = new Webhook(secret);

createServer(async (request, response) => {
  try {
    const { data } = webhook.verify(await text(request), request.headers);
    await hear(data);
    response.writeHead(204).end();
  } catch (error) {
    console.error(error.message);
    response.writeHead(500).end();
  }
}).listen(Number(PORT), new URL(BOT_URL).hostname, () => console.log(`listening on ${BOT_URL}`));
