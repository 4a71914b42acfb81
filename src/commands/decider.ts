import type { ParleyError } from '../errors.js';
import type { NewEvent, Recorded } from '../events/types.js';

/** `refused`: the command changes nothing and its sender is told why. */
export type Decision<A> =
  | { readonly events: readonly NewEvent[]; readonly answer: A }
  | { readonly refused: ParleyError };

/** One aggregate: pure; time, ids and facts come in with the command. */
export interface Decider<C, S, F, A> {
  readonly initial: S;
  /** Never mutates `state`. */
  evolve(state: S, event: NewEvent | Recorded): S;
  decide(command: C, state: S, known: F): Decision<A>;
}
