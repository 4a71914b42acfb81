/** `unable`: this browser cannot check it, so the step neither passed nor failed. */
export type Outcome = 'passed' | 'failed' | 'unable';

/** One verification step. */
export interface Step {
  readonly title: string;
  /** One sentence: what was compared or computed or, if the step failed, what is wrong. */
  readonly text: string;
  readonly outcome: Outcome;
  /** The hashes and texts of this step, by name. */
  readonly values: readonly (readonly [name: string, value: string])[];
}

/** Input that does not have its specified form. The message completes a sentence: "The proof is malformed: …". */
export class Malformed extends Error {
  override readonly name = 'Malformed';
}

/** The worst outcome: one failed step fails the whole verification. */
export function outcomeOf(steps: readonly Step[]): Outcome {
  if (steps.some(({ outcome }) => outcome === 'failed')) return 'failed';
  return steps.some(({ outcome }) => outcome === 'unable') ? 'unable' : 'passed';
}

/** A step that passed or failed, with the text for either. */
export const stepOf = (
  title: string,
  isPassed: boolean,
  texts: { readonly passed: string; readonly failed: string },
  values: Step['values'] = [],
): Step => {
  const outcome = isPassed ? 'passed' : 'failed';
  return { title, text: texts[outcome], outcome, values };
};

/** A failed step. */
export const failedStep = (title: string, text: string, values: Step['values'] = []): Step => ({
  ...{ title, text, outcome: 'failed', values },
});
