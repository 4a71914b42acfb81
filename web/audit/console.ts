import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Api } from './api.js';
import type { Names } from './names.js';
import type { Witness } from './witness/witness.js';

/** What every view works with, while one auditor is signed in. */
export interface Console {
  readonly api: Api;
  readonly names: Names;
  readonly witness: Witness;
}

export const ConsoleContext = createContext<Console | undefined>(undefined);

/** The console that this is part of. */
export function useConsole(): Console {
  const found = useContext(ConsoleContext);
  if (!found) throw new Error('this is shown within a console only');
  return found;
}
