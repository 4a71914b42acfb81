import { randomUUID } from 'node:crypto';
import type { IdGenerator, SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Logger } from 'pino';
import { BoundedLog } from '../base/rateLimits.js';
import { ConfigError } from '../base/settings.js';
import { type RecordSpan, type SpanPlace, Traces } from '../base/tracing.js';
import type { NodeRouter } from '../cluster/commandRouter.js';
import type { OwnWriters } from '../domain/commands.js';

/** A stop waits this long for the last spans. */
const LAST_SPANS_MS = 1000;

/** Traces that are sent to a collector. */
export interface SentTraces {
  readonly traces: Traces;
  /** Sends what is left, for up to 1 s. */
  close(): Promise<void>;
}

/**
 * Sends the spans of this node to the collector of `OTEL_EXPORTER_OTLP_ENDPOINT`, as OTLP over HTTP with JSON. Loads the
 * packages of OpenTelemetry; throws `ConfigError` if they are left out. At most 2,048 spans wait for a collector, and
 * further ones are lost. The packages read their own settings, such as `OTEL_EXPORTER_OTLP_HEADERS`, from the
 * environment.
 */
export async function openTraces(endpoint: string, share: number, logger: Logger): Promise<SentTraces> {
  const { api, base, exporter, resources } = await loadPackages();
  const lines = new BoundedLog(logger);
  const warn = (reason: string) => lines.write('warn', 'OpenTelemetry reports a failure', { reason });
  const silent = () => {};
  api.diag.setLogger(
    { error: warn, warn, info: silent, debug: silent, verbose: silent },
    { logLevel: api.DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  const ids = new GivenIds();
  const url = new URL('v1/traces', endpoint.endsWith('/') ? endpoint : `${endpoint}/`).href;
  // The exporter and the provider agree on this type; their packages declare it twice.
  const spanExporter = new exporter.OTLPTraceExporter({ url }) as SpanExporter;
  const provider = new base.BasicTracerProvider({
    idGenerator: ids,
    sampler: new base.AlwaysOnSampler(),
    spanProcessors: [new base.BatchSpanProcessor(spanExporter)],
    resource: resources
      .resourceFromAttributes({ 'service.name': 'parley', 'service.instance.id': randomUUID() })
      .merge(resources.detectResources({ detectors: [resources.envDetector] })),
  });
  const tracer = provider.getTracer('parley');
  const kinds = {
    server: api.SpanKind.SERVER,
    internal: api.SpanKind.INTERNAL,
    consumer: api.SpanKind.CONSUMER,
  };
  const contextOf = (place: SpanPlace) => ({ ...place, traceFlags: api.TraceFlags.SAMPLED, isRemote: true });
  const record: RecordSpan = ({ name, kind, parent, link, facts, error, startedAt, endedAt, ...place }) => {
    ids.next = place;
    const span = tracer.startSpan(
      name,
      {
        kind: kinds[kind],
        startTime: startedAt,
        attributes: error === undefined ? facts : { ...facts, 'error.type': error },
        ...(link ? { links: [{ context: contextOf(link) }] } : {}),
      },
      parent ? api.trace.setSpanContext(api.ROOT_CONTEXT, contextOf(parent)) : api.ROOT_CONTEXT,
    );
    if (error !== undefined) span.setStatus({ code: api.SpanStatusCode.ERROR });
    span.end(endedAt);
  };
  return {
    traces: new Traces(record, share),
    async close() {
      let timer: NodeJS.Timeout | undefined;
      const limit = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, LAST_SPANS_MS);
      });
      await Promise.race([provider.shutdown().catch((error: unknown) => warn(String(error))), limit]);
      clearTimeout(timer);
      api.diag.disable();
    },
  };
}

async function loadPackages() {
  try {
    const [api, base, exporter, resources] = await Promise.all([
      import('@opentelemetry/api'),
      import('@opentelemetry/sdk-trace-base'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
    ]);
    return { api, base, exporter, resources };
  } catch (cause) {
    throw new ConfigError(
      'OTEL_EXPORTER_OTLP_ENDPOINT: needs the optional packages of OpenTelemetry, which are not installed',
      { cause },
    );
  }
}

/** Gives a span the ids that were chosen before it began. */
class GivenIds implements IdGenerator {
  next: SpanPlace | undefined;

  readonly generateTraceId = (): string => this.next?.traceId ?? '';
  readonly generateSpanId = (): string => this.next?.spanId ?? '';
}

/** Records a span of each command that this node is given. */
export function traceCommands(commands: NodeRouter, traces: Traces): void {
  const execute = commands.execute.bind(commands);
  commands.execute = (command, commandId) =>
    traces.runCommand(command.kind, commandId, () => execute(command, commandId));
}

/** The same writers, which record a span of each command that another node has forwarded. */
export const traceForwarded = (writers: OwnWriters, traces: Traces | undefined): OwnWriters =>
  traces === undefined
    ? writers
    : {
        submit: (command, commandId, epoch) =>
          traces.runForwarded(command.kind, commandId, () => writers.submit(command, commandId, epoch)),
      };
