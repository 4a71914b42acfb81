import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { allBlocks } from '../docs/blocks.js';
import { ruleOf } from '../docs/rules.js';
import { talk } from '../e2e/newcomer.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/freePort.js';
import { HostServer } from '../support/hostServer.js';
import { ask } from '../support/http.js';
import { EGRESS, Receiver } from '../support/receiver.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';
import { repository } from './dockerfile.js';
import { Program, programIsHere } from './program.js';

const read = (file: string): string => readFileSync(join(repository, file), 'utf8');
const rules = read('deploy/prometheus/alerts.yaml');
const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name);

/** The queries of the dashboard, with values for what Grafana puts in. */
const queries = [...read('deploy/grafana/parley.json').matchAll(/"expr": ("(?:[^"\\]|\\.)*")/g)].map(
  ([, text = '']) => String(JSON.parse(text)).replaceAll('$__rate_interval', '1m'),
);

/** The names of metrics in an expression; its labels and functions are not among them. */
const metricsIn = (text: string): string[] => text.match(/\b(?:parley|nodejs|process)_\w+/g) ?? [];

/** Series of a minute and more, one sample in 15 s: those that make an alert fire, and those that do not. */
interface Case {
  readonly fires: Readonly<Record<string, string>>;
  readonly silent: Readonly<Record<string, string>>;
}

const NODE = 'instance="a",job="parley"';
const commands = (outcome: string) =>
  `parley_commands_total{${NODE},event="send message",outcome="${outcome}"}`;
const queue = (name: string) => `parley_queue_depth{${NODE},queue="${name}"}`;
const gauge = (name: string) => `${name}{${NODE}}`;
const answered = (status: string) =>
  `parley_http_request_seconds_count{${NODE},method="POST",route="/user/signin",status="${status}"}`;

/** A histogram of which `share` of the observations are above `le`. */
const histogram = (name: string, le: string, share: number) => ({
  [`${name}_bucket{${NODE},le="${le}"}`]: `0+${Math.round(1000 * (1 - share))}x60`,
  [`${name}_bucket{${NODE},le="1"}`]: '0+1000x60',
  [`${name}_bucket{${NODE},le="+Inf"}`]: '0+1000x60',
});

const constant = (name: string, fires: string, silent: string): Case => ({
  fires: { [name]: `${fires}x60` },
  silent: { [name]: `${silent}x60` },
});

const cases: Readonly<Record<string, Case>> = {
  ParleyDown: constant(`up{${NODE}}`, '0', '1'),
  ParleyNotReady: constant(gauge('parley_ready'), '0', '1'),
  ParleyRestarts: {
    fires: { [gauge('process_start_time_seconds')]: '100x9 200x9 300x9 400x30' },
    silent: { [gauge('process_start_time_seconds')]: '100x9 200x9 300x39' },
  },
  // The first one of all, which a rate does not see.
  ParleyInternalErrors: {
    fires: { [commands('internal')]: '_x50 1x10' },
    silent: { [commands('internal')]: '1x60', [answered('500')]: '3x60', [commands('ok')]: '0+9x60' },
  },
  ParleyCommandsFail: {
    fires: { [commands('ok')]: '0+100x60', [commands('overloaded')]: '0+2x60' },
    silent: {
      [commands('ok')]: '0+100x60',
      [commands('forbidden')]: '0+50x60',
      [commands('unknown')]: '1x60',
    },
  },
  ParleyPartitionsUnowned: {
    fires: { [gauge('parley_partitions')]: '8x60', [gauge('parley_partitions_owned')]: '8x40 7x20' },
    silent: {
      [gauge('parley_partitions')]: '8x60',
      [gauge('parley_partitions_owned')]: '3x60',
      'parley_partitions_owned{instance="b",job="parley"}': '5x60',
    },
  },
  ParleyRouterStuck: {
    fires: { [queue('router')]: '0x30 5x30', [queue('commands')]: '0x60' },
    silent: { [queue('router')]: '5x60', [queue('commands')]: '2x60' },
  },
  ParleyCommandsQueue: constant(queue('commands'), '4097', '4096'),
  ParleyAppendsSlow: {
    fires: histogram('parley_append_seconds', '0.05', 0.02),
    silent: histogram('parley_append_seconds', '0.05', 0.001),
  },
  ParleyPushesLate: {
    fires: histogram('parley_push_latency_seconds', '0.1', 0.02),
    silent: histogram('parley_push_latency_seconds', '0.1', 0.001),
  },
  ParleyReadModelsLate: constant(gauge('parley_projection_lag_seconds'), '4', '2'),
  ParleyPasswordQueue: constant(queue('passwords'), '21', '20'),
  ParleyGuessing: {
    fires: { [answered('429')]: '0+30x60' },
    silent: {
      [answered('429')]: '0+10x60',
      [answered('200')]: '0+300x60',
      [answered('429').replace('/user/signin', '/server/rooms/private')]: '0+300x60',
    },
  },
  ParleyHookSlow: constant(queue('hook'), '65', '64'),
  ParleySlowReaders: constant(gauge('parley_bytes_waiting'), String(2 ** 27), String(2 ** 26)),
  ParleySubscriptionLags: constant(
    `parley_subscription_lag_seconds{${NODE},subscription="crm"}`,
    '601',
    '600',
  ),
  ParleyEventLoopSlow: constant(gauge('nodejs_eventloop_lag_p99_seconds'), '0.3', '0.11'),
  ParleyDiskFull: constant(gauge('parley_disk_free_bytes'), String(2 ** 30), String(2 ** 31)),
  ParleyClockBehind: constant(gauge('parley_clock_behind'), '1', '0'),
};

/** promtool's tests of one alert, as YAML, of which JSON is a part. */
function unitTest(alert: string, series: Readonly<Record<string, string>>, isFiring: boolean) {
  return {
    interval: '15s',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [
      {
        expr: `count(ALERTS{alertname="${alert}",alertstate="firing"})`,
        eval_time: '14m',
        exp_samples: isFiring ? [{ labels: '{}', value: 1 }] : [],
      },
    ],
  };
}

function promtool(...args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' });
  expect(status, stdout + stderr).to.equal(0);
}

describe('the alerts and the dashboard of deploy/', function () {
  this.timeout(120_000);
  before(function () {
    if (!programIsHere('promtool', 'prometheus')) this.skip();
  });

  it('are rules and a configuration that Prometheus takes', () => {
    promtool('check', 'rules', join(repository, 'deploy/prometheus/alerts.yaml'));
    promtool('check', 'config', join(repository, 'deploy/prometheus/prometheus.yaml'));
    expect(queries).to.have.length.above(20);
    const file = join(tempDir(), 'queries.yaml');
    const recorded = queries.map((expr, at) => ({ record: `query:${at}`, expr }));
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules: recorded }] }));
    promtool('check', 'rules', file);
  });

  it('fire when they are to, and are silent else: each of them', () => {
    expect(Object.keys(cases)).to.have.members(alerts);
    const tests = Object.entries(cases).flatMap(([alert, { fires, silent }]) => [
      unitTest(alert, fires, true),
      unitTest(alert, silent, false),
    ]);
    const file = join(tempDir(), 'tests.yaml');
    const rule_files = [join(repository, 'deploy/prometheus/alerts.yaml')];
    writeFileSync(file, JSON.stringify({ rule_files, evaluation_interval: '15s', tests }));
    promtool('test', 'rules', file);
  });

  it('are each a heading of the incident page', () => {
    const page = read('docs/incidents.md');
    const headings = [...page.matchAll(/^## (Parley\w+)$/gm)].map(([, name = '']) => name);
    expect(headings).to.have.members(alerts);
  });

  describe('beside a real node', () => {
    let node: ServerProcess;
    let prometheus: Program | undefined;
    let metricsHost: string;
    before(async () => {
      const env = { METRICS_PORT: '0', AUTH_RATE_LIMIT: '60:10', ...EGRESS };
      node = await startServer({ engine: 'sqlite', env });
      metricsHost = /metrics are at http:\/\/([^"/]+)/.exec(node.log)?.[1] ?? '';
    });
    after(async () => {
      await prometheus?.stop();
      await node.stop();
    });

    it('ask for metrics that a node has', async () => {
      await talk(node);
      const [host, receiver] = [await HostServer.of(node), await Receiver.start()];
      await host.subscribe('crm', { url: receiver.url });
      const exported = new Set<string>();
      await eventually('the first garbage was collected', async () => {
        const { text } = await ask(`http://${metricsHost}`, 'GET /metrics');
        for (const [, name = ''] of text.matchAll(/^([a-z_0-9]+)[{ ]/gm)) exported.add(name);
        return exported.has('nodejs_gc_duration_seconds_sum');
      });
      const asked = [...new Set([rules, ...queries].flatMap(metricsIn))];
      expect(asked).to.have.length.above(15);
      for (const name of asked) expect([...exported], name).to.include(name);
      await host.ask('DELETE /server/subscriptions/crm');
      await receiver.close();
    });

    it('lead to a page whose commands run', () => {
      const pages = ['docs/incidents.md', 'docs/cluster.md'];
      const blocks = allBlocks().filter((block) => pages.includes(block.file) && ruleOf(block) === 'deploy');
      const code = blocks.flatMap(({ info, code }) => (info === 'sh' ? code : [])).join('');
      expect(code).to.include('grep').and.to.include('for node');
      const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-euo', 'pipefail', '-c', code], {
        env: { PATH: process.env.PATH, node: node.url, metrics: `http://${metricsHost}`, nodes: metricsHost },
        encoding: 'utf8',
      });
      expect(status, stderr).to.equal(0);
      expect(stdout)
        .to.include('{"status":"ready"}')
        .and.to.match(/^parley_ready 1$/m);
    });

    it('fire in Prometheus when passwords are guessed, a receiver is away, a file is lost and the node dies', async () => {
      const [dir, port] = [tempDir(), await freePort()];
      // The same rules, but for the times, which a test does not wait for.
      const hurried = rules
        .replaceAll(/^( +for:) .*$/gm, '$1 0s')
        .replaceAll(/\[\d+m\]/g, '[5s]')
        .replace('lag_seconds) > 600', 'lag_seconds) > 2');
      writeFileSync(join(dir, 'alerts.yaml'), hurried);
      const config = read('deploy/prometheus/prometheus.yaml')
        .replaceAll('15s', '1s')
        .replace('127.0.0.1:9464', metricsHost);
      writeFileSync(join(dir, 'prometheus.yml'), config);
      prometheus = new Program([
        'prometheus',
        `--config.file=${dir}/prometheus.yml`,
        `--storage.tsdb.path=${dir}/data`,
        `--web.listen-address=127.0.0.1:${port}`,
      ]);
      const firing = async (): Promise<string[]> => {
        const answer = await fetch(`http://127.0.0.1:${port}/api/v1/alerts`).catch(() => undefined);
        const { data } = answer?.ok ? await answer.json() : { data: { alerts: [] } };
        return data.alerts.map(({ labels }: { labels: { alertname: string } }) => labels.alertname);
      };
      /** Whether all rules were evaluated since then, and none fires. */
      const isQuiet = async (since: number): Promise<boolean> => {
        const { data } = await (await fetch(`http://127.0.0.1:${port}/api/v1/rules`)).json();
        const seen: { state: string; lastEvaluation: string }[] = data.groups[0].rules;
        return seen.every(
          ({ state, lastEvaluation }) => state === 'inactive' && Date.parse(lastEvaluation) > since,
        );
      };
      const up = async () => {
        const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=up`).catch(() => undefined);
        return answer?.ok === true && (await answer.text()).includes('"1"]');
      };
      await eventually('Prometheus has asked the node', up);
      const asked = Date.now();
      // As no rule waits, one fires for an answer that came late, until the next one.
      await eventually('all rules were looked at, and none fires', () => isQuiet(asked));
      const json = { username: 'nobody', password: 'a guess of many' };
      await eventually('ParleyGuessing', async () => {
        for (let n = 0; n < 20; n++) await ask(node.url, 'POST /user/signin', { json });
        return (await firing()).includes('ParleyGuessing');
      });
      const host = await HostServer.of(node);
      await host.subscribe('crm', { url: `http://127.0.0.1:${await freePort()}/`, from: 'start' });
      await eventually('ParleySubscriptionLags', async () =>
        (await firing()).includes('ParleySubscriptionLags'),
      );
      rmSync(join(node.dataDir, 'vault.db'));
      await eventually('ParleyNotReady', async () => (await firing()).includes('ParleyNotReady'));
      await node.kill();
      await eventually('ParleyDown', async () => (await firing()).includes('ParleyDown'));
    });
  });
});
