import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { monotonicNow } from './clock.js';

/** Says what a span is about. Never a text, a name, a token or a password. */
export type SpanFacts = Readonly<Record<string, string | number>>;

/** The place of a span: its trace and its own id, in lower-case hexadecimal (W3C Trace Context). */
export interface SpanPlace {
  readonly traceId: string;
  readonly spanId: string;
}

/** A piece of work that is over. */
export interface FinishedSpan extends SpanPlace {
  readonly name: string;
  /** A `server` span answers somebody outside of this process. */
  readonly kind: 'server' | 'internal' | 'consumer';
  readonly parent: SpanPlace | undefined;
  /** The span that caused this one in another trace. */
  readonly link: SpanPlace | undefined;
  readonly facts: SpanFacts;
  /** Why the work failed; undefined: it did not. */
  readonly error: string | undefined;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly endedAt: number;
}

/** Takes finished spans. Must neither throw nor wait. */
export type RecordSpan = (span: FinishedSpan) => void;

/** A request under way: the first command that runs within it shares its trace. */
interface OpenRequest {
  readonly spanId: string;
  traceId: string | undefined;
}

/** The request of a client while it is answered. */
export interface RequestTrace {
  /** Runs the work of the request: commands that begin within it are its own. */
  run<T>(work: () => T): T;
  /** Records the request. Call it once, when it has been answered. */
  end(name: string, facts: SpanFacts, error: string | undefined): void;
}

/**
 * Makes the spans of one node. **The id of a trace is the id of its command** without hyphens, and the last half of it
 * is the id of the command's span. Every node and every event has that id. So the spans of several nodes join although
 * nothing of a trace is sent between them.
 */
export class Traces {
  readonly #record: RecordSpan;
  readonly #share: number;
  readonly #current = new AsyncLocalStorage<OpenRequest>();

  /** Records this share of the traces, 0 to 1, the same ones on every node. */
  constructor(record: RecordSpan, share: number) {
    this.#record = record;
    this.#share = share;
  }

  /** Begins a request. `upstream` is the header `traceparent` of a caller who traces too. */
  beginRequest(upstream?: string): RequestTrace {
    const began = monotonicNow();
    const parent = parseTraceParent(upstream);
    const open: OpenRequest = { spanId: randomSpanId(), traceId: parent?.traceId };
    return {
      run: (work) => this.#current.run(open, work),
      end: (name, facts, error) => {
        const traceId = open.traceId ?? randomBytes(16).toString('hex');
        if (!this.#isRecorded(traceId)) return;
        const place = { traceId, spanId: open.spanId };
        this.#record({
          ...place,
          name,
          kind: 'server',
          parent,
          link: undefined,
          facts,
          error,
          ...since(began),
        });
      },
    };
  }

  /** Runs a command on the node where it was given, and records it: from then until it is durable. */
  runCommand<T>(kind: string, commandId: string, work: () => Promise<T>): Promise<T> {
    const place = placeOf(commandId);
    const request = this.#current.getStore();
    if (request) request.traceId ??= place?.traceId;
    if (!place || !this.#isRecorded(place.traceId)) return work();
    const caller = request?.traceId ? { traceId: request.traceId, spanId: request.spanId } : undefined;
    const isSame = caller?.traceId === place.traceId;
    return this.#measure(work, {
      ...{ ...place, name: `command ${kind}`, kind: 'internal', facts: {} },
      ...{ parent: isSame ? caller : undefined, link: isSame ? undefined : caller },
    });
  }

  /** Runs a command that another node has forwarded to this one, and records it. */
  runForwarded<T>(kind: string, commandId: string, work: () => Promise<T>): Promise<T> {
    const parent = placeOf(commandId);
    if (!parent || !this.#isRecorded(parent.traceId)) return work();
    const place = { traceId: parent.traceId, spanId: randomSpanId() };
    const about = {
      ...place,
      name: `forwarded ${kind}`,
      kind: 'server',
      facts: {},
      link: undefined,
    } as const;
    return this.#measure(work, { ...about, parent });
  }

  /** Records an append that took `ms`, in the trace of each of its commands. */
  recordAppend(ms: number, facts: SpanFacts, commandIds: Iterable<string>): void {
    this.#recordChildren('append', 'internal', facts, ms, commandIds);
  }

  /** Records that the pushes of these commands were queued `ms` after their events were recorded. */
  recordPushes(ms: number, facts: SpanFacts, commandIds: Iterable<string>): void {
    this.#recordChildren('push', 'consumer', facts, ms, commandIds);
  }

  #recordChildren(
    name: string,
    kind: FinishedSpan['kind'],
    facts: SpanFacts,
    ms: number,
    commandIds: Iterable<string>,
  ): void {
    const endedAt = Date.now();
    for (const id of new Set(commandIds)) {
      const parent = placeOf(id);
      if (!parent || !this.#isRecorded(parent.traceId)) continue;
      const place = { traceId: parent.traceId, spanId: randomSpanId() };
      const times = { startedAt: endedAt - ms, endedAt };
      this.#record({ ...place, name, kind, parent, link: undefined, facts, error: undefined, ...times });
    }
  }

  async #measure<T>(
    work: () => Promise<T>,
    about: Omit<FinishedSpan, 'error' | 'startedAt' | 'endedAt'>,
  ): Promise<T> {
    const began = monotonicNow();
    let error: string | undefined;
    try {
      return await work();
    } catch (cause) {
      error = nameOf(cause);
      throw cause;
    } finally {
      this.#record({ ...about, error, ...since(began) });
    }
  }

  #isRecorded(traceId: string): boolean {
    return Number.parseInt(traceId.slice(0, 8), 16) < this.#share * 2 ** 32;
  }
}

/** From a monotonic moment until now. A step of the wall clock moves both ends. */
function since(began: number): { readonly startedAt: number; readonly endedAt: number } {
  const endedAt = Date.now();
  return { startedAt: endedAt - (monotonicNow() - began), endedAt };
}

const randomSpanId = (): string => randomBytes(8).toString('hex');

/** The place of the span of a command; undefined if its id is no UUID. */
export function placeOf(commandId: string): SpanPlace | undefined {
  const traceId = commandId.replaceAll('-', '').toLowerCase();
  return /^[0-9a-f]{32}$/.test(traceId) ? { traceId, spanId: traceId.slice(16) } : undefined;
}

/** Reads a `traceparent` of version 00 whose caller records its trace. */
function parseTraceParent(text: string | undefined): SpanPlace | undefined {
  const [, traceId, spanId, flags] =
    /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(text ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return (Number.parseInt(flags, 16) & 1) === 1 ? { traceId, spanId } : undefined;
}

/** The code of an error of the contract, else the error's class. Messages may have what a span must not. */
function nameOf(cause: unknown): string {
  if (!(cause instanceof Error)) return 'Error';
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name;
}
