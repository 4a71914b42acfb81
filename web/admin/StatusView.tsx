import { useEffect, useState } from 'preact/hooks';
import { Field } from '../console/Field.js';
import { formatUtc, pluralize } from '../ui/format.js';
import { formatBytes, formatDuration, parseMetrics, type Samples } from './metrics.js';

const LOOK_EVERY_MS = 5000;

/** What the server says of itself. It is public, so no look is recorded. */
interface Status {
  readonly at: string;
  readonly isHealthy: boolean;
  readonly ready: Ready;
  /** Undefined if another port has the metrics. */
  readonly metrics: Samples | undefined;
}

interface Ready {
  readonly isReady: boolean;
  readonly failing?: string;
  readonly warnings?: readonly string[];
}

async function readStatus(): Promise<Status> {
  const get = (path: string): Promise<Response | undefined> =>
    fetch(path, { cache: 'no-store' }).catch(() => undefined);
  const [health, ready, metrics] = await Promise.all([get('/health'), get('/ready'), get('/metrics')]);
  // The server's answer, as its document says.
  const said = (await ready?.json().catch(() => undefined)) as Omit<Ready, 'isReady'> | undefined;
  return {
    at: new Date().toISOString(),
    isHealthy: health?.ok === true,
    ready: { ...said, isReady: ready?.ok === true },
    metrics: metrics?.ok ? parseMetrics(await metrics.text().catch(() => '')) : undefined,
  };
}

/** The health of the node that answers this page, and its storage. */
export function StatusView() {
  const [status, setStatus] = useState<Status>();
  useEffect(() => {
    let isOver = false;
    let timer: ReturnType<typeof setTimeout>;
    const look = async (): Promise<void> => {
      const read = await readStatus();
      if (isOver) return;
      setStatus(read);
      timer = setTimeout(look, LOOK_EVERY_MS);
    };
    void look();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, []);
  if (!status) return <p role="status">Loading…</p>;
  const { at, isHealthy, ready, metrics } = status;
  return (
    <>
      <p class="quiet">
        The node that answers this page, at {formatUtc(at)} UTC. It is asked every {LOOK_EVERY_MS / 1000} s.
      </p>
      <div class="tiles">
        <section class="panel" aria-label="Health">
          <h2>Health</h2>
          <p role="status">
            <span class={`badge ${isHealthy ? 'good' : 'bad'}`}>{isHealthy ? 'running' : 'no answer'}</span>{' '}
            <span class={`badge ${ready.isReady ? 'good' : 'bad'}`}>{readyText(ready)}</span>
          </p>
          {ready.warnings?.map((warning) => (
            <p key={warning} class="notice">
              {warning === 'clock'
                ? 'The clock of this node is more than 5 min behind the last time in the log.'
                : warning}
            </p>
          ))}
        </section>
        {metrics ? (
          <MetricTiles metrics={metrics} />
        ) : (
          <section class="panel" aria-label="Metrics">
            <h2>Metrics</h2>
            <p>Another port has the metrics of this server (METRICS_PORT).</p>
          </section>
        )}
      </div>
    </>
  );
}

function readyText({ isReady, failing }: Ready): string {
  if (isReady) return 'ready';
  return failing === undefined ? 'not ready' : `not ready: ${failing}`;
}

function MetricTiles({ metrics }: { readonly metrics: Samples }) {
  const value = (name: string): number => metrics.get(name) ?? 0;
  const free = metrics.get('parley_disk_free_bytes');
  const started = metrics.get('process_start_time_seconds');
  const queues = [...metrics].flatMap(([name, depth]) => {
    const [, queue] = /^parley_queue_depth\{queue="([^"]*)"\}$/.exec(name) ?? [];
    return queue === undefined || depth === 0 ? [] : [`${queue}: ${depth}`];
  });
  return (
    <>
      <section class="panel" aria-label="Storage">
        <h2>Storage</h2>
        <dl class="fields">
          <Field name="Free on disk">{free === undefined ? 'in MongoDB' : formatBytes(free)}</Field>
          <Field name="Partitions">
            {value('parley_partitions_owned')} of {value('parley_partitions')} here
          </Field>
          <Field name="Read models">{lagText(value('parley_projection_lag_seconds'))}</Field>
        </dl>
      </section>
      <section class="panel" aria-label="Traffic">
        <h2>Traffic</h2>
        <dl class="fields">
          <Field name="Sockets">{pluralize(value('parley_connections'), 'connection')}</Field>
          <Field name="To be sent">{formatBytes(value('parley_bytes_waiting'))}</Field>
          <Field name="Queues">{queues.length === 0 ? 'empty' : queues.join(', ')}</Field>
        </dl>
      </section>
      <section class="panel" aria-label="Process">
        <h2>Process</h2>
        <dl class="fields">
          <Field name="Memory">{formatBytes(value('process_resident_memory_bytes'))}</Field>
          <Field name="Running for">
            {started === undefined ? '–' : formatDuration(Date.now() / 1000 - started)}
          </Field>
        </dl>
      </section>
    </>
  );
}

const lagText = (seconds: number): string =>
  seconds < 1 ? 'up to date' : `${Math.round(seconds)} s behind the log`;
