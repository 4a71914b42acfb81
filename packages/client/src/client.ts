import { GIVE_UP_CODE, Link, type Phase, Requests } from './link.js';
import {
  backoffDelay,
  baseOf,
  type ClientOptions,
  currentToken,
  type KnownToken,
  Listeners,
  when,
  withDefaults,
} from './options.js';
import {
  type Client,
  ClientError,
  type ClientState,
  type EndReason,
  type Push,
  type RequestInput,
  type User,
} from './types.js';

/** Pushes that wait for their handlers; beyond this the client disconnects, and resumes from its cursor. */
const MAX_WAITING = 10_000;

/**
 * Handles pushes one after the other and keeps the cursor. A push's cursor is stored after its handlers
 * ran, so that a crash between the two repeats the push and never skips it.
 */
class Inbox {
  readonly #waiting: Push[] = [];
  #beginning: string | undefined;
  #cursor: string | undefined;
  #isLoaded = false;
  #isOpen = false;
  #isRunning = false;
  #draining: Promise<void> = Promise.resolve();

  readonly #handle: (push: Push) => Promise<void>;
  readonly #options: Required<ClientOptions>;

  constructor(handle: (push: Push) => Promise<void>, options: Required<ClientOptions>) {
    this.#handle = handle;
    this.#options = options;
  }

  /** False when too many wait: the caller must disconnect, and resume from the last cursor. */
  add(push: Push): boolean {
    if (this.#waiting.length >= MAX_WAITING) return false;
    this.#waiting.push(push);
    this.#run();
    return true;
  }

  /** The cursor to resume from; waits for the handler that is running. */
  async cursor(): Promise<string | undefined> {
    await this.#draining;
    if (!this.#isLoaded) this.#cursor = await this.#options.cursors.load();
    this.#isLoaded = true;
    return this.#cursor;
  }

  /** Begins a connection at the cursor from the answer to `identity`. */
  begin(cursor: string): void {
    this.#beginning = cursor;
    this.#isOpen = true;
    this.#run();
  }

  /** Ends a connection. The server pushes unhandled events again, from the last cursor on. */
  end(): void {
    this.#isOpen = false;
    this.#waiting.length = 0;
  }

  /** Forgets a cursor that the server refuses. */
  forget(): Promise<void> {
    return this.#save(undefined);
  }

  #run(): void {
    if (!this.#isOpen || this.#isRunning) return;
    this.#isRunning = true;
    this.#draining = this.#drain();
  }

  async #drain(): Promise<void> {
    if (this.#beginning) await this.#save(this.#beginning);
    this.#beginning = undefined;
    for (let push = this.#waiting.shift(); push; push = this.#waiting.shift()) {
      await this.#handle(push);
      if (push.cursor) await this.#save(push.cursor);
    }
    this.#isRunning = false;
  }

  async #save(cursor: string | undefined): Promise<void> {
    this.#cursor = cursor;
    try {
      await this.#options.cursors.save(cursor);
    } catch (error) {
      // The connection goes on: after a restart, pushes are only repeated.
      this.#options.onError(error);
    }
  }
}

const SIGNED_OUT_CODE = 4401;
/** The reasons for programs are one word; the others are sentences for people. */
const isEndReason = (reason: string | undefined): reason is EndReason => !/ |^$/.test(reason ?? '');
const RESTART_CODE = 1012;
/** How long before its end a token is renewed, and the least wait before it is asked for again. */
const RENEW_BEFORE_MS = 60_000;
const LEAST_RENEWAL_MS = 10_000;

/** Makes a client for one device; it connects on `start`. */
export function createClient(options: ClientOptions): Client {
  return new ReconnectingClient(withDefaults(options));
}

class ReconnectingClient implements Client {
  #phase: Phase = { state: 'new' };
  /** Failed connections in a row. */
  #failures = 0;
  #cancelKeepAlive = (): void => {};
  #cancelRenewal = (): void => {};
  /** The token of the present connection, once it was sent. */
  #sentToken: string | undefined;
  #refusedToken: string | undefined;
  readonly #options: Required<ClientOptions>;
  readonly #stateHandlers = new Set<(state: ClientState) => void>();
  readonly #listeners: Listeners;
  readonly #inbox: Inbox;
  readonly #requests: Requests;

  constructor(options: Required<ClientOptions>) {
    this.#options = options;
    this.#listeners = new Listeners(options.onError);
    this.#inbox = new Inbox((push) => this.#handle(push), options);
    this.#requests = new Requests(options);
  }

  get state(): ClientState {
    // Without the parts of a phase that callers must not see.
    const { link: _, cancel: __, ...state }: Phase & { link?: Link; cancel?: () => void } = this.#phase;
    return state;
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
    this.#requests.retryUntilAnswered((link) => link.request(name, data), timeoutMs);

  on: Client['on'] = (name, handler) => this.#listeners.add(name, handler);

  onState(handler: (state: ClientState) => void): () => void {
    this.#stateHandlers.add(handler);
    return () => this.#stateHandlers.delete(handler);
  }

  get ready(): Promise<User> {
    return when(
      (listener) => this.onState(listener),
      () => {
        const { state } = this;
        if (state.state === 'ended') throw new ClientError({ code: state.why });
        return state.state === 'live' ? state.user : undefined;
      },
    );
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
        this.#options.onError(error);
      }
    }
  }

  /** Whether this link is still in use; to be checked after each wait. */
  #isCurrent(link: Link): boolean {
    return 'link' in this.#phase && this.#phase.link === link;
  }

  #connect(): void {
    this.#sentToken = undefined;
    const url = `${baseOf(this.#options.url).replace(/^http/, 'ws')}/ws`;
    const link: Link = new Link(url, this.#options, {
      onOpen: () => void this.#identify(link),
      onPush: (push) => {
        if (!this.#inbox.add(push)) link.end(GIVE_UP_CODE, 'too far behind');
      },
      onEnd: (code, reason) => {
        if (this.#isCurrent(link)) this.#reconnectLater(code, reason);
      },
    });
    this.#enter({ state: 'connecting', link });
  }

  async #identify(link: Link): Promise<void> {
    let cursor: string | undefined;
    try {
      cursor = await this.#inbox.cursor();
      const known = await currentToken(this.#options.getToken);
      if (!this.#isCurrent(link)) return;
      const { token } = known;
      this.#sentToken = token;
      const data: RequestInput<'identity'> = { token, ...(cursor && { cursor }) };
      const { user, cursor: beginning } = await link.request('identity', data);
      if (!this.#isCurrent(link)) return;
      // Pushes that arrived with the answer wait for this.
      this.#inbox.begin(beginning);
      this.#requests.use(link);
      this.#keepAlive(link, user);
      this.#renewBeforeEnd(link, known.lastsMs);
      this.#enter(
        cursor ? { state: 'replaying', link, user } : { state: 'live', link, user, resumed: false },
      );
    } catch (error) {
      if (this.#isCurrent(link)) await this.#handleRefusal(link, cursor, error);
    }
  }

  async #handleRefusal(link: Link, cursor: string | undefined, error: unknown): Promise<void> {
    // Until the token is sent, an error is one of the function that gives it, or of the cursor store.
    const isOfServer = this.#sentToken !== undefined;
    if (!(error instanceof ClientError)) this.#options.onError(error);
    else if (error.code === 'unauthenticated') {
      if (!isOfServer) return this.#end('signed_out');
      this.#reconnectLater(SIGNED_OUT_CODE, 'the token was refused');
      return link.end(1000, '');
    }
    // The cursor is of another log, or ahead of this one: the server's data was replaced. Begin anew.
    else if (error.code === 'bad_request' && cursor && isOfServer) await this.#inbox.forget();
    const leastMs = error instanceof ClientError ? error.retryAfterMs : undefined;
    if (this.#isCurrent(link)) this.#reconnectLater(GIVE_UP_CODE, 'identity was refused', leastMs);
    link.end(1000, '');
  }

  async #handle(push: Push): Promise<void> {
    await this.#listeners.call(push);
    if (push.event === 'identity' && this.#phase.state === 'replaying') {
      this.#enter({ ...this.#phase, state: 'live', resumed: true });
    }
  }

  /** Checks that an idle connection still works. One that does resets the count of failures. */
  #keepAlive(link: Link, user: User): void {
    this.#cancelKeepAlive = this.#options.after(this.#options.keepAliveMs, () => {
      // Any answer proves it, an error too. Without one, the link ends itself.
      const asked = link.request('get online info', { recipientId: user.userId });
      void asked
        .catch(() => {})
        .then(() => {
          if (!this.#isCurrent(link)) return;
          this.#failures = 0;
          this.#keepAlive(link, user);
        });
    });
  }

  /** Asks for the next token before this one ends, and again until there is another one or the session ends. */
  #renewBeforeEnd(link: Link, lastsMs: number): void {
    if (Number.isNaN(lastsMs)) return;
    const inMs = Math.max(lastsMs - RENEW_BEFORE_MS, LEAST_RENEWAL_MS);
    this.#cancelRenewal = this.#options.after(inMs, async () => {
      let next: KnownToken | undefined;
      try {
        next = await currentToken(this.#options.getToken);
        const { token } = next;
        if (token === this.#sentToken || !this.#isCurrent(link)) return;
        await link.request('renew', { token });
        this.#sentToken = token;
      } catch (error) {
        this.#options.onError(error);
      } finally {
        if (this.#isCurrent(link)) this.#renewBeforeEnd(link, next?.lastsMs ?? 0);
      }
    });
  }

  #reconnectLater(code: number, reason: string, leastMs = 0): void {
    this.#release();
    if (code === SIGNED_OUT_CODE) {
      this.#refusedToken = this.#sentToken;
      void this.#endUnlessRenewed(reason);
    }
    if (code === RESTART_CODE) this.#failures = 0;
    const { random, backoff, after } = this.#options;
    const delayMs = leastMs + backoffDelay(this.#failures++, random(), backoff);
    const cancel = after(delayMs, () => this.#connect());
    this.#enter({ state: 'waiting', delayMs, code, reason, cancel });
  }

  /** Ends at once where there is no other token: the user should not have to wait for the next connection to see it. */
  async #endUnlessRenewed(reason: string): Promise<void> {
    // A function that fails is asked again by the next connection, which reports its error.
    const known = await currentToken(this.#options.getToken).catch(() => undefined);
    if (known && known.token === this.#refusedToken) this.#end('signed_out', reason);
  }

  #end(why: 'closed' | 'signed_out', closeReason?: string): void {
    const phase = this.#phase;
    if (phase.state === 'ended') return;
    this.#release();
    this.#requests.end(new ClientError({ code: why }));
    this.#enter({ state: 'ended', why, ...(isEndReason(closeReason) && { reason: closeReason }) });
    if (phase.state === 'waiting') phase.cancel();
    if ('link' in phase) phase.link.end(1000, '');
  }

  #release(): void {
    this.#cancelKeepAlive();
    this.#cancelRenewal();
    this.#inbox.end();
    this.#requests.use(undefined);
  }
}
