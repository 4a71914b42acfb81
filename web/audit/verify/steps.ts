/** `unable`: this browser cannot check it, so that it is neither right nor wrong. */
export type Outcome = 'passed' | 'failed' | 'unable';

/** One thing that was checked, with what it was checked by. */
export interface Step {
  readonly title: string;
  /** What was compared or computed, in a sentence; if it failed, what is wrong. */
  readonly says: string;
  readonly outcome: Outcome;
  /** The hashes and texts of this step, by name. */
  readonly values: readonly (readonly [name: string, value: string])[];
}

/** The worst of the outcomes: one failed step refuses all. */
export function outcomeOf(steps: readonly Step[]): Outcome {
  if (steps.some(({ outcome }) => outcome === 'failed')) return 'failed';
  return steps.some(({ outcome }) => outcome === 'unable') ? 'unable' : 'passed';
}

/** A step that holds, or else says what is wrong. */
export const check = (
  title: string,
  holds: boolean,
  [right, wrong]: readonly [string, string],
  values: Step['values'] = [],
): Step => ({ title, says: holds ? right : wrong, outcome: holds ? 'passed' : 'failed', values });
