import { useEffect, useState } from 'preact/hooks';
import type { ConsoleApi } from '../console/consoleApi.js';
import { formatUtc } from '../ui/format.js';
import { useVisitor } from './adminContext.js';
import { type Finding, GROUPS, type Measure, measure } from './measures.js';
import { parseMetrics, type Samples } from './metrics.js';
import { measureStorage, measureWithoutMetrics, type StorageFigures } from './storageMeasures.js';

const LOOK_EVERY_MS = 5000;

/** What the server says of itself. It has nothing of users, so no look is recorded. */
interface Status {
  readonly at: string;
  readonly isHealthy: boolean;
  readonly ready: Ready;
  /** Undefined if another port has the metrics. */
  readonly metrics: Samples | undefined;
  /** Undefined if they cannot be read now. */
  readonly storage: StorageFigures | undefined;
}

interface Ready {
  readonly isReady: boolean;
  readonly failing?: string;
  readonly warnings?: readonly string[];
}

async function readStatus(api: ConsoleApi): Promise<Status> {
  const get = (path: string): Promise<Response | undefined> =>
    fetch(path, { cache: 'no-store' }).catch(() => undefined);
  const [health, ready, metrics, storage] = await Promise.all([
    ...([get('/health'), get('/ready'), get('/metrics')] as const),
    api.json<StorageFigures>('/admin/storage').catch(() => undefined),
  ]);
  // The server's answer, as its document says.
  const said = (await ready?.json().catch(() => undefined)) as Omit<Ready, 'isReady'> | undefined;
  return {
    at: new Date().toISOString(),
    isHealthy: health?.ok === true,
    ready: { ...said, isReady: ready?.ok === true },
    metrics: metrics?.ok ? parseMetrics(await metrics.text().catch(() => '')) : undefined,
    storage,
  };
}

/** The health of the node that answers this page, and its storage. */
export function StatusView() {
  const { api } = useVisitor();
  const [status, setStatus] = useState<Status>();
  useEffect(() => {
    let isOver = false;
    let timer: ReturnType<typeof setTimeout>;
    const look = async (): Promise<void> => {
      const read = await readStatus(api);
      if (isOver) return;
      setStatus(read);
      timer = setTimeout(look, LOOK_EVERY_MS);
    };
    void look();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [api]);
  if (!status) return <p role="status">Loading…</p>;
  const { at, isHealthy, ready, metrics, storage } = status;
  const measures = measuresOf(status);
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
        {GROUPS.map((group) => (
          <MeasuresPanel key={group} title={group} measures={measures} />
        ))}
        {metrics ? null : (
          <section class="panel" aria-label="Metrics">
            <h2>Metrics</h2>
            <p>Another port has the metrics of this server (METRICS_PORT).</p>
          </section>
        )}
        {storage ? null : (
          <section class="panel" aria-label="Storage">
            <h2>Storage</h2>
            <p>The figures of the storage cannot be read now.</p>
          </section>
        )}
      </div>
    </>
  );
}

const measuresOf = ({ metrics, storage }: Status): readonly Measure[] => [
  ...(storage ? measureStorage(storage) : []),
  ...(metrics ? measure(metrics) : storage ? measureWithoutMetrics(storage) : []),
];

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
  const shown = measures.filter(({ group }) => group === title);
  if (shown.length === 0) return null;
  return (
    <section class="panel" aria-label={title}>
      <h2>{title}</h2>
      <dl class="fields">
        {shown.map(({ name, value, normal, finding }) => (
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
