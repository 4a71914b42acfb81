import { ClientError, type ErrorBody } from '../../src/client/index.js';

type Parameters = Readonly<Record<string, string | number | undefined>>;

/** Of a line that never ends. */
const LONGEST_LINE = 4 * 1024 * 1024;

/** What an auditor may ask, with their token. Every method rejects with a `ClientError`. */
export class Api {
  #serverTime: number | undefined;

  /** @param onSignedOut called when the server no longer knows the token */
  constructor(
    private readonly token: string,
    private readonly onSignedOut: () => void,
  ) {}

  /** The server's clock as it was in its last answer; this device's before that. */
  get serverTime(): number {
    return this.#serverTime ?? Date.now();
  }

  /** An answer in JSON; the contract says what each path answers. */
  async json<T>(path: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<T> {
    // The contract's word for it; proofs are read as `unknown`, and checked.
    return JSON.parse(await this.text(path, parameters, signal)) as T;
  }

  /** An answer as text. */
  async text(path: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<string> {
    const response = await this.#ask(path, parameters, signal);
    return response.text().catch((cause: unknown) => {
      throw lost(path, cause);
    });
  }

  /** Newline-delimited JSON as it comes: the lines of each piece that arrives. Ends with the answer; an abort is an error. */
  async *lines<T>(
    path: string,
    parameters: Parameters,
    signal: AbortSignal,
    onBegun = () => {},
  ): AsyncGenerator<readonly T[]> {
    const response = await this.#ask(path, parameters, signal);
    onBegun();
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    if (!reader) return;
    let rest = '';
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        const lines = (rest + value).split('\n');
        rest = lines.pop() ?? '';
        if (rest.length > LONGEST_LINE) throw new RangeError('a line of the answer does not end');
        if (lines.length > 0) yield lines.map((line) => JSON.parse(line) as T); // As in `json`.
      }
    } catch (cause) {
      throw lost(path, cause);
    } finally {
      await reader.cancel().catch(() => {}); // Its stream may have failed: said above.
    }
  }

  async #ask(path: string, parameters: Parameters, signal: AbortSignal | undefined): Promise<Response> {
    const given = Object.entries(parameters).flatMap(([name, value]) =>
      value === undefined || value === '' ? [] : [[name, String(value)]],
    );
    const query = given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
    const headers = { authorization: `Bearer ${this.token}` };
    const response = await fetch(path + query, { headers, signal: signal ?? null, cache: 'no-store' }).catch(
      (cause: unknown) => {
        throw lost(path, cause);
      },
    );
    this.#serverTime = Date.parse(response.headers.get('date') ?? '') || this.#serverTime;
    if (response.ok) return response;
    const error = problem(response.status, await response.text().catch(() => ''));
    if (error.code === 'unauthenticated') this.onSignedOut();
    throw error;
  }
}

const lost = (path: string, cause: unknown): ClientError =>
  new ClientError({ code: 'disconnected', message: `no answer from ${path}` }, { cause });

function problem(status: number, text: string): ClientError {
  try {
    // RFC 9457 with the contract's fields; anything else came from something in between.
    const body = JSON.parse(text) as Partial<ErrorBody>;
    if (body.code) return new ClientError({ ...body, code: body.code });
  } catch {
    // Not JSON: said below.
  }
  return new ClientError({ code: 'internal', message: `HTTP ${status}` });
}

/** Why something failed, in a sentence for the auditor. */
export function sayWhy(error: unknown): string {
  if (!(error instanceof ClientError)) return `This did not work: ${String(error)}.`;
  switch (error.code) {
    case 'disconnected':
      return 'The server cannot be reached.';
    case 'not_found':
      return 'There is no such thing in the log.';
    case 'forbidden':
      return 'Only auditors may see this.';
    case 'overloaded':
      return 'The server has too much to do: try again in a moment.';
    case 'bad_request':
      return error.fields.map(({ path, message }) => `${path}: ${message}`).join('; ') || error.message;
    default:
      return `This did not work: ${error.message}.`;
  }
}
