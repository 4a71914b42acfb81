import type { Bus } from './bus.js';
import { memoryBus } from './memory.js';
import type { NatsBusOptions } from './nats.js';

/** The bus over these NATS servers; without any, of the one process that there is. */
export async function openBus({
  servers,
  ...options
}: Omit<NatsBusOptions, 'servers'> & {
  readonly servers: NatsBusOptions['servers'] | undefined;
}): Promise<Bus> {
  if (!servers) return memoryBus(options.node, options.report);
  // Loaded where it is used: that takes a tenth of a second.
  const { NatsBus } = await import('./nats.js');
  return new NatsBus({ servers, ...options });
}
