import type { Bus } from './bus/bus.js';
import { systemClock } from './clock.js';
import { Doorman } from './cluster/doorman.js';
import { Lanes } from './cluster/lanes.js';
import type { Writers } from './threads/writers.js';

/** The ways of commands: from this node to whoever owns their partition, and from other nodes to its own writers. */
export interface Routes {
  readonly lanes: Lanes;
  readonly doorman: Doorman;
}

/** Lays them; nothing goes anywhere before the lanes are told who owns what. */
export function routeCommands(bus: Bus, writers: Writers): Routes {
  const lanes = new Lanes({
    ...{ node: bus.node, partitions: writers.partitions, bus, writers, clock: systemClock },
    onReturned: () => writers.look(),
  });
  bus.hear((note) => {
    if (note.kind === 'owners') writers.look();
  });
  return { lanes, doorman: new Doorman(writers, (partition) => lanes.epochOf(partition)) };
}
