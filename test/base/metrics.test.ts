import { expect } from 'chai';
import { Metrics } from '../../src/base/metrics.js';

describe('metrics', () => {
  it('exports commands by event and outcome, appends, pushes and gauges', async () => {
    const metrics = new Metrics();
    metrics.countCommand('send message', 'ok');
    metrics.countCommand('send message', 'ok');
    metrics.countCommand('send message', 'overloaded');
    metrics.observeAppend({ ms: 3, events: 17, partition: 0, tasks: [] });
    metrics.observePush(
      { recordedAt: '2026-01-01T00:00:00.000Z', partition: 0, events: [] },
      Date.UTC(2026, 0, 1, 0, 0, 0, 12),
    );
    let connections = 1;
    metrics.addGauge('parley_connections', () => connections);
    metrics.addQueue('writer', () => 5);
    connections = 2;
    for (let scrapes = 0; scrapes < 2; scrapes++) {
      const lines = (await metrics.render()).split('\n');
      expect(lines).to.include.members([
        'parley_commands_total{event="send message",outcome="ok"} 2',
        'parley_commands_total{event="send message",outcome="overloaded"} 1',
        'parley_append_seconds_bucket{le="0.002"} 0',
        'parley_append_seconds_bucket{le="0.005"} 1',
        'parley_append_events_sum 17',
        'parley_push_latency_seconds_sum 0.012',
        'parley_connections 2',
        'parley_queue_depth{queue="writer"} 5',
      ]);
    }
  });
});
