import { ClientError, type ErrorBody } from '@parley/client';

type Parameters = Readonly<Record<string, string | number | undefined>>;

const MAX_LINE_CHARS = 4 * 1024 * 1024;

/** The REST interface, called with the present token of one session. Every method rejects with a `ClientError`. */
export class ConsoleApi {
  #serverTime: number | undefined;

  /** @param onSignedOut called when the server no longer accepts the token */
  constructor(
    private readonly getToken: () => Promise<string>,
    private readonly onSignedOut: () => void,
  ) {}

  /** The server's clock at its last answer, in milliseconds since 1970; before the first answer this device's clock. */
  get serverTime(): number {
    return this.#serverTime ?? Date.now();
  }

  /** Gets an answer in JSON. */
  async json<T>(path: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<T> {
    // Trusts the contract's types. Proofs are the exception: callers read them as `unknown` and check them.
    return JSON.parse(await this.text(path, parameters, signal)) as T;
  }

  /** Sends a request that changes something. Resolves with the answer in JSON; undefined if it has none. */
  async send<T = undefined>(method: 'POST' | 'PUT' | 'DELETE', path: string, body?: object): Promise<T> {
    const response = await this.#ask(path, {
      method,
      ...(body ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {}),
    });
    const text = await response.text().catch((cause: unknown) => {
      throw disconnected(path, cause);
    });
    // Trusts the contract's types; a caller that expects no answer gives none.
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /** Gets an answer as text. */
  async text(path: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<string> {
    const response = await this.#get(path, parameters, signal);
    return response.text().catch((cause: unknown) => {
      throw disconnected(path, cause);
    });
  }

  /** Reads newline-delimited JSON and yields the complete lines of each chunk. An abort rejects. */
  async *lines<T>(
    path: string,
    parameters: Parameters,
    signal: AbortSignal,
    onConnected = () => {},
  ): AsyncGenerator<readonly T[]> {
    const response = await this.#get(path, parameters, signal);
    onConnected();
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    if (!reader) return;
    let rest = '';
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        const lines = (rest + value).split('\n');
        rest = lines.pop() ?? '';
        if (rest.length > MAX_LINE_CHARS) throw new RangeError('a line of the answer is too long');
        // An empty line says only that the connection is alive. The others are typed by the contract, as in `json`.
        const values = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as T);
        if (values.length > 0) yield values;
      }
    } catch (cause) {
      throw disconnected(path, cause);
    } finally {
      await reader.cancel().catch(() => {}); // Fails if the stream has failed, which is reported above.
    }
  }

  #get(path: string, parameters: Parameters, signal: AbortSignal | undefined): Promise<Response> {
    const given = Object.entries(parameters).flatMap(([name, value]) =>
      value === undefined || value === '' ? [] : [[name, String(value)]],
    );
    const query = given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
    return this.#ask(path + query, { signal: signal ?? null });
  }

  async #ask(path: string, init: RequestInit): Promise<Response> {
    const headers = { ...init.headers, authorization: `Bearer ${await this.getToken()}` };
    const response = await fetch(path, { ...init, headers, cache: 'no-store' }).catch((cause: unknown) => {
      throw disconnected(path, cause);
    });
    this.#serverTime = Date.parse(response.headers.get('date') ?? '') || this.#serverTime;
    if (response.ok) return response;
    const error = errorOf(response.status, await response.text().catch(() => ''));
    if (error.code === 'unauthenticated') this.onSignedOut();
    throw error;
  }
}

const disconnected = (path: string, cause: unknown): ClientError =>
  new ClientError({ code: 'disconnected', message: `no answer from ${path}` }, { cause });

function errorOf(status: number, text: string): ClientError {
  try {
    // The server sends RFC 9457 with the contract's fields; a proxy may send anything.
    const body = JSON.parse(text) as Partial<ErrorBody>;
    if (body.code) return new ClientError({ ...body, code: body.code });
  } catch {
    // Not JSON: reported below by its status.
  }
  return new ClientError({ code: 'internal', message: `HTTP ${status}` });
}

/** What the pages call the parameters that people fill in. */
const FIELD_NAMES: Readonly<Record<string, string>> = {
  stream: 'Room or user',
  actor: 'Done by',
  type: 'Type',
  since: 'Since',
  until: 'Until',
  at: 'Time',
  partition: 'Partition',
  offset: 'Offset',
  q: 'Name',
  note: 'Note',
  reason: 'Reason',
  to: 'Place',
};

/** One sentence about the error. */
export function describeError(error: unknown): string {
  if (!(error instanceof ClientError)) return `The request failed: ${String(error)}.`;
  switch (error.code) {
    case 'disconnected':
      return 'Cannot reach the server.';
    case 'not_found':
      return 'Not found.';
    case 'forbidden':
    case 'conflict':
      return `The server refuses this: ${error.message}.`;
    case 'overloaded':
    case 'rate_limited':
      return 'The server is busy. Try again in a moment.';
    case 'unknown':
      return 'The server did not answer in time. The action may have taken effect. Check this, then repeat it.';
    case 'bad_request':
      return (
        error.fields.map(({ path, message }) => `${FIELD_NAMES[path] ?? path}: ${message}`).join('; ') ||
        error.message
      );
    default:
      return `The request failed: ${error.message}.`;
  }
}
