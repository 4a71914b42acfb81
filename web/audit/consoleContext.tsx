import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { ConsoleApi } from '../console/consoleApi.js';
import type { NameSearch } from './names.js';
import type { Witness } from './witness/witness.js';

/** What every view of the console shares while one auditor is signed in. */
export interface ConsoleServices {
  readonly api: ConsoleApi;
  readonly names: NameSearch;
  readonly witness: Witness;
}

export const ConsoleContext = createContext<ConsoleServices | undefined>(undefined);

export function useConsole(): ConsoleServices {
  const services = useContext(ConsoleContext);
  if (!services) throw new Error('useConsole needs a ConsoleContext around the component');
  return services;
}
