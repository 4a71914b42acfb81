import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import { EventAnswer } from '../../src/http/audit/auditEvents.js';

/** With these a server under test sends to receivers of the test's own process. */
export const EGRESS = { EGRESS_ALLOW: '127.0.0.0/8' } as const;

/** A request that a receiver was sent. */
export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly path: string;
  readonly body: string;
  readonly id: string;
  /** The JSON of the body. */
  readonly json: unknown;
}

/** How a request is answered: with this status, or as the function does. */
export type Answer = number | ((response: ServerResponse, received: Received) => void);

/** The host's receiver: a real HTTP server that may go away and come back at the same address. */
export class Receiver {
  /** All requests, in the order in which they came. */
  readonly received: Received[] = [];
  /** Decides the answer to each request. */
  answer: (received: Received) => Answer | Promise<Answer> = () => 200;
  #server: Server | undefined;
  #port = 0;

  static async start(): Promise<Receiver> {
    const receiver = new Receiver();
    await receiver.open();
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/hook`;
  }

  async open(): Promise<void> {
    const server = createServer(async (request, response) => {
      const body = await text(request).catch(() => undefined);
      // The sender has gone.
      if (body === undefined) return;
      const { headers, url: path = '' } = request;
      const received = { headers, path, body, id: String(headers['webhook-id']), json: JSON.parse(body) };
      this.received.push(received);
      const answer = await this.answer(received);
      if (typeof answer === 'number') response.writeHead(answer).end();
      else answer(response, received);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = (server.address() as AddressInfo).port; // It listens on TCP.
    this.#server = server;
  }

  /** Cuts off what is under way, and is away until it is opened again. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  }
}

export type DeliveredEvent = z.infer<typeof EventAnswer.shape.event>;
const Delivery = z.object({
  data: z.union([EventAnswer.shape.event, z.array(EventAnswer.shape.event).min(1)]),
});

/** The events of a delivery: one by itself, or a list. */
export const eventsIn = ({ json }: Pick<Received, 'json'>): DeliveredEvent[] =>
  [Delivery.parse(json).data].flat();

/** The values of a field of the events' data, of all these deliveries. */
export const dataAt = (received: readonly Received[], field: string): unknown[] =>
  received.flatMap(eventsIn).map(({ data }) => data[field]);

/** Throws unless the request is signed with this secret, by the specification's own library. */
export function verifySignature({ body, headers }: Received, secret: string): void {
  const signed = Object.fromEntries(
    ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => [name, String(headers[name])]),
  );
  new Webhook(secret).verify(body, signed);
}
