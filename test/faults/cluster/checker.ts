import { chainRules } from './chainRules.js';
import { type Facts, factsOf } from './facts.js';
import { groupRules } from './groupRules.js';
import type { Entry } from './history.js';
import { orderRules } from './orderRules.js';
import { readRules } from './readRules.js';
import { sendRules } from './sendRules.js';

/** A promise of the contract, and where the history breaks it. */
export type Rule = (facts: Facts) => readonly string[];

export interface Violation {
  readonly rule: string;
  readonly what: string;
}

/** Every rule by what it promises. */
const rules: Readonly<Record<string, Rule>> = {
  ...orderRules,
  ...sendRules,
  ...chainRules,
  ...readRules,
  ...groupRules,
  'every error is one that the contract allows, and what was due came': ({ complaints }) =>
    complaints.map((entry) =>
      entry.kind === 'error' ? `${entry.device} was answered ${entry.code} to ${entry.request}` : entry.what,
    ),
};

/** At most so many of one rule are told: the rest mostly says the same. */
const MOST_OF_A_RULE = 5;

/** What in a history breaks the contract; nothing, if all is well. Pure. */
export function check(entries: readonly Entry[]): Violation[] {
  const facts = factsOf(entries);
  return Object.entries(rules).flatMap(([rule, look]) =>
    look(facts)
      .slice(0, MOST_OF_A_RULE)
      .map((what) => ({ rule, what })),
  );
}
