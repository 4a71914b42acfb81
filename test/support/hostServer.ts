import { expect } from 'chai';
import { z } from 'zod';
import { EventAnswer } from '../../src/http/audit/auditEvents.js';
import { SubscriptionAnswer } from '../../src/http/server/subscriptionResources.js';
import { type Ask, ask, type Reply } from './http.js';
import { parley } from './parley.js';
import type { Place } from './people.js';
import type { DeliveredEvent } from './receiver.js';

const Page = z.object({ events: z.array(EventAnswer.shape.event), next: z.string() });

/** A server that the command line finds. */
interface Operated extends Place {
  readonly settings: Readonly<Record<string, string>>;
}

/** The server of a host application, with a key of its own. */
export class HostServer {
  private constructor(
    private readonly place: Place,
    readonly key: string,
  ) {}

  static async of(server: Operated, scopes = 'events'): Promise<HostServer> {
    const { code, out, err } = await parley(['key', 'add', 'a test', '--scopes', scopes], server.settings);
    expect(code, err).to.equal(0);
    return new HostServer(server, out.trim());
  }

  ask(what: string, json?: unknown, more: Ask = {}): Promise<Reply> {
    return ask(this.place.url, what, { token: this.key, ...(json === undefined ? {} : { json }), ...more });
  }

  /** Makes a subscription, and resolves with its secret. */
  async subscribe(id: string, wanted: object): Promise<string> {
    const { status, body, text } = await this.ask(`PUT /server/subscriptions/${id}`, wanted);
    expect(status, text).to.equal(201);
    return body.secret;
  }

  async subscription(id: string): Promise<z.infer<typeof SubscriptionAnswer.shape.subscription>> {
    const { status, body, text } = await this.ask(`GET /server/subscriptions/${id}`);
    expect(status, text).to.equal(200);
    return SubscriptionAnswer.parse(body).subscription;
  }

  /** All events of the log that a subscription without types gets. */
  async allEvents(query = ''): Promise<DeliveredEvent[]> {
    const all: DeliveredEvent[] = [];
    for (let from = 'start'; ; ) {
      const {
        status,
        body: page,
        text,
      } = await this.ask(`GET /server/events?from=${from}&limit=200${query}`);
      expect(status, text).to.equal(200);
      const { events, next } = Page.parse(page);
      if (events.length === 0 && next === from) return all;
      all.push(...events);
      from = next;
    }
  }
}
