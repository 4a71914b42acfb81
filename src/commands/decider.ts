import type { ParleyError } from '../errors.js';
import type { NewEvent, Recorded } from '../events/types.js';

/** `refused`: the command changes nothing and its sender is told why. */
export type Decision<A> =
  | { readonly events: readonly NewEvent[]; readonly answer: A }
  | { readonly refused: ParleyError };

/** One aggregate: pure; time, ids and facts come in with the command. */
export interface Decider<C, S, F, A> {
  readonly initial: S;
  /** Never mutates `state`. A state is a JSON value: it is kept as a row. */
  evolve(state: S, event: Recorded): S;
  decide(command: C, state: S, known: F): Decision<A>;
}
