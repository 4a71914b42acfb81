import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { parseNatsServers } from '../../../src/base/settings.js';
import type { Bus } from '../../../src/cluster/bus.js';
import { createMemoryBus } from '../../../src/cluster/bus.js';
import { NatsBus } from '../../../src/cluster/natsBus.js';
import { alone, type BusWorld, together } from '../../conformance/bus.js';
import { broken, defects } from '../../conformance/busDefects.js';
import { eventually } from '../../support/eventually.js';
import { natsUrl } from '../../support/nats.js';
import { TrustedNodes } from '../../support/trust.js';

/** How long a control waits for a message that its defect suppresses. */
const CONTROL_MS = 300;

/** Failures that the suite provokes are expected. */
const quiet = () => {};

const adapters: Record<string, (nodes: TrustedNodes) => Promise<Bus>> = {
  'in one process': async () => createMemoryBus(randomUUID(), quiet),
  'on NATS': async (nodes) => {
    const servers = parseNatsServers((await natsUrl()) ?? '') ?? [];
    const node = randomUUID();
    const bus = new NatsBus({ servers, logId: nodes.logId, node, seal: nodes.seal(node), report: quiet });
    await eventually('the bus is connected', () => bus.isConnected);
    return bus;
  },
};

/** Runs the suite with buses of separate logs, each wrapped by `as`. */
async function run(
  promise: ((world: BusWorld) => Promise<void>) | undefined,
  open: (nodes: TrustedNodes) => Promise<Bus>,
  patienceMs: number,
  as = (bus: Bus): Bus => bus,
): Promise<void> {
  if (!promise) throw new Error('the suite does not promise that');
  const buses: Bus[] = [];
  const logs = new Map<string, TrustedNodes>();
  try {
    await promise({
      patienceMs,
      async open(log = 'the same') {
        const nodes = logs.get(log) ?? new TrustedNodes(randomUUID());
        logs.set(log, nodes);
        const bus = await open(nodes);
        buses.push(bus);
        return as(bus);
      },
    });
  } finally {
    await Promise.all(buses.map((bus) => bus.close()));
  }
}

for (const [where, open] of Object.entries(adapters)) {
  const isShared = where === 'on NATS';
  const kept = isShared ? { ...alone, ...together } : alone;

  describe(`A bus ${where}`, () => {
    before(async function () {
      if (isShared && (await natsUrl()) === undefined) this.skip();
    });

    for (const [name, promise] of Object.entries(kept)) it(name, () => run(promise, open, 60_000));

    for (const [name, defect] of Object.entries(defects)) {
      if (!(defect.breaks in kept)) continue;
      it(`${name} is found out`, async () => {
        const error: unknown = await run(kept[defect.breaks], open, CONTROL_MS, (bus) =>
          broken(bus, defect),
        ).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        expect(error, 'this bus is broken, and the check did not see it').to.be.instanceOf(Error);
      });
    }

    it('that is wrapped but not broken is accepted', async () => {
      const whole = (bus: Bus) => broken(bus, { breaks: '', on: () => ({}) });
      for (const promise of Object.values(kept)) await run(promise, open, 60_000, whole);
    });
  });
}
