import { ClientError } from './clientErrors.js';
import { Inbox } from './inbox.js';
import { LET_GO, Link, type Phase, shown } from './link.js';
import { backoffDelay, type ClientOptions, Listeners, withDefaults } from './options.js';
import { Requests } from './requests.js';
import type { Client, ClientState, Push, RequestInput, User } from './types.js';

const SIGNED_OUT = 4401;
const SERVER_RESTARTS = 1012;

/** A client for one device; nothing happens before its `start`. */
export function createClient(options: ClientOptions): Client {
  return new ReconnectingClient(withDefaults(options));
}

class ReconnectingClient implements Client {
  #phase: Phase = { state: 'new' };
  /** Connections that failed since one lasted. */
  #failures = 0;
  #cancelKeepAlive = (): void => {};
  readonly #stateHandlers = new Set<(state: ClientState) => void>();
  readonly #listeners: Listeners;
  readonly #inbox: Inbox;
  readonly #requests: Requests;

  constructor(private readonly options: Required<ClientOptions>) {
    this.#listeners = new Listeners(options.onError);
    this.#inbox = new Inbox((push) => this.#handle(push), options.cursors, options.onError);
    this.#requests = new Requests(options);
  }

  get state(): ClientState {
    return shown(this.#phase);
  }

  start(): void {
    if (this.#phase.state === 'new') this.#connect();
  }

  retry(): void {
    if (this.#phase.state !== 'waiting') return;
    this.#phase.cancel();
    this.#failures = 0;
    this.#connect();
  }

  request: Client['request'] = (name, data, { timeoutMs = 30_000 } = {}) =>
    this.#requests.untilAnswered((link) => link.request(name, data), timeoutMs);

  on: Client['on'] = (name, handler) => this.#listeners.add(name, handler);

  onState(handler: (state: ClientState) => void): () => void {
    this.#stateHandlers.add(handler);
    return () => this.#stateHandlers.delete(handler);
  }

  live(): Promise<User> {
    return new Promise((resolve, reject) => {
      const look = (state: ClientState): void => {
        if (state.state === 'live') resolve(state.user);
        else if (state.state === 'ended') reject(new ClientError({ code: state.why }));
        else return;
        this.#stateHandlers.delete(look);
      };
      this.#stateHandlers.add(look);
      look(this.state);
    });
  }

  close(): void {
    this.#end('closed');
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    const state = this.state;
    for (const handler of [...this.#stateHandlers]) {
      try {
        handler(state);
      } catch (error) {
        this.options.onError(error);
      }
    }
  }

  /** Whether this link is still the one in use: after a wait, it may not be. */
  #holds(link: Link): boolean {
    return 'link' in this.#phase && this.#phase.link === link;
  }

  #connect(): void {
    const { url } = this.options;
    const link: Link = new Link(typeof url === 'string' ? url : url(), this.options, {
      opened: () => void this.#identify(link),
      pushed: (push) => {
        if (!this.#inbox.add(push)) link.end(LET_GO, 'too far behind');
      },
      ended: (code, reason) => {
        if (this.#holds(link)) this.#lost(code, reason);
      },
    });
    this.#enter({ state: 'connecting', link });
  }

  async #identify(link: Link): Promise<void> {
    let cursor: string | undefined;
    try {
      cursor = await this.#inbox.cursor();
      const { token } = this.options;
      const data: RequestInput<'identity'> = cursor === undefined ? { token } : { token, cursor };
      const { user, cursor: beginning } = await link.request('identity', data);
      if (!this.#holds(link)) return;
      // Pushes that came together with the answer have waited for this.
      this.#inbox.begin(beginning);
      this.#requests.use(link);
      this.#keepAlive(link, user);
      if (cursor === undefined) this.#enter({ state: 'live', link, user, resumed: false });
      else this.#enter({ state: 'replaying', link, user });
    } catch (error) {
      if (this.#holds(link)) await this.#refused(link, cursor, error);
    }
  }

  async #refused(link: Link, cursor: string | undefined, error: unknown): Promise<void> {
    if (!(error instanceof ClientError)) this.options.onError(error);
    else if (error.code === 'unauthenticated') return this.#end('signed_out');
    // Of another log, or ahead of it: the server's data is not what this device knew. Begin anew.
    else if (error.code === 'bad_request' && cursor !== undefined) await this.#inbox.forget();
    const leastMs = error instanceof ClientError ? error.retryAfterMs : undefined;
    if (this.#holds(link)) this.#lost(LET_GO, 'identity was refused', leastMs);
    link.end(1000, '');
  }

  async #handle(push: Push): Promise<void> {
    await this.#listeners.call(push);
    if (push.event === 'identity' && this.#phase.state === 'replaying') {
      this.#enter({ ...this.#phase, state: 'live', resumed: true });
    }
  }

  /** Finds out whether an idle connection is still one; one that lasts ends the row of failures. */
  #keepAlive(link: Link, user: User): void {
    this.#cancelKeepAlive = this.options.after(this.options.keepAliveMs, () => {
      // Any answer will do, a refusal too; without one the link ends itself.
      link.request('get online info', { recipientId: user.userId }).then(
        () => this.#lasted(link, user),
        () => this.#lasted(link, user),
      );
    });
  }

  #lasted(link: Link, user: User): void {
    if (!this.#holds(link)) return;
    this.#failures = 0;
    this.#keepAlive(link, user);
  }

  #lost(code: number, reason: string, leastMs = 0): void {
    this.#release();
    if (code === SIGNED_OUT) {
      this.#end('signed_out');
      return;
    }
    if (code === SERVER_RESTARTS) this.#failures = 0;
    const { random, backoff, after } = this.options;
    const delayMs = leastMs + backoffDelay(this.#failures++, random(), backoff);
    const cancel = after(delayMs, () => this.#connect());
    this.#enter({ state: 'waiting', delayMs, code, reason, cancel });
  }

  #end(why: 'closed' | 'signed_out'): void {
    const phase = this.#phase;
    if (phase.state === 'ended') return;
    this.#release();
    this.#requests.end(new ClientError({ code: why }));
    this.#enter({ state: 'ended', why });
    if (phase.state === 'waiting') phase.cancel();
    if ('link' in phase) phase.link.end(1000, '');
  }

  #release(): void {
    this.#cancelKeepAlive();
    this.#inbox.shut();
    this.#requests.use(undefined);
  }
}
