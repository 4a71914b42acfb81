import { useEffect, useState } from 'preact/hooks';
import { formatUtc } from '../ui/format.js';
import { type Finding, type Measure, measure } from './measures.js';
import { parseMetrics, type Samples } from './metrics.js';

const LOOK_EVERY_MS = 5000;

const groups = ['Storage', 'Traffic', 'Process'] as const;

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
  const measures = metrics ? measure(metrics) : [];
  const findings = [...findingsOf(status), ...measures.flatMap(({ finding }) => finding ?? [])];
  return (
    <>
      <p class="quiet">
        The node that answers this page, at {formatUtc(at)} UTC. It is asked every {LOOK_EVERY_MS / 1000} s.
      </p>
      <p class={`notice ${findings.length === 0 ? 'done' : 'bad'}`} role="status">
        {findings.length === 0
          ? 'Nothing needs your attention.'
          : `${findings.length === 1 ? 'One thing needs' : `${findings.length} things need`} your attention.`}
      </p>
      {findings.length === 0 ? null : (
        <ul class="panel findings">
          {findings.map(({ text, help }) => (
            <li key={text}>
              {text} <a href={`/docs/incidents${location.search}#${help}`}>What to do</a>
            </li>
          ))}
        </ul>
      )}
      <div class="tiles">
        <section class="panel" aria-label="Health">
          <h2>Health</h2>
          <p>
            <span class={`badge ${isHealthy ? 'good' : 'bad'}`}>{isHealthy ? 'running' : 'no answer'}</span>{' '}
            <span class={`badge ${ready.isReady ? 'good' : 'bad'}`}>{readyText(ready)}</span>
          </p>
        </section>
        {metrics ? (
          groups.map((group) => <MeasuresPanel key={group} title={group} measures={measures} />)
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

/** What the health of the node asks for. */
function findingsOf({ isHealthy, ready }: Status): readonly Finding[] {
  const { isReady, failing, warnings = [] } = ready;
  if (!isHealthy) return [{ text: 'The node does not answer.', help: 'parleydown' }];
  return [
    ...(isReady
      ? []
      : [
          {
            text: `The node runs, but ${failing ?? 'a part'} fails, which it needs. Do not restart it.`,
            help: 'parleynotready',
          },
        ]),
    ...warnings.map((warning) =>
      warning === 'clock'
        ? {
            text: 'The clock of this node is more than 5 min behind the last time in the log.',
            help: 'parleyclockbehind',
          }
        : { text: warning, help: 'incidents' },
    ),
  ];
}

interface PanelProps {
  readonly title: Measure['group'];
  readonly measures: readonly Measure[];
}

function MeasuresPanel({ title, measures }: PanelProps) {
  return (
    <section class="panel" aria-label={title}>
      <h2>{title}</h2>
      <dl class="fields">
        {measures
          .filter(({ group }) => group === title)
          .map(({ name, value, normal, finding }) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd class="measure">
                <span>
                  <span>{value}</span>
                  {finding === undefined ? null : <span class="badge bad">not normal</span>}
                </span>
                {normal === undefined ? null : <span class="hint">normal: {normal}</span>}
              </dd>
            </div>
          ))}
      </dl>
    </section>
  );
}
