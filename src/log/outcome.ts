import { AppendError, type Commit } from './log.js';

/**
 * The outcome of appending `mine` where `there` already is: a repeat is committed, another writer's commit
 * means lost. Throws `AppendError` if the same id was given to two different commits.
 */
export function outcomeOf<C extends Pick<Commit, 'id' | 'hash'>>(
  mine: C,
  there: C,
): { kind: 'committed' } | { kind: 'lost'; to: C } {
  if (there.id !== mine.id) return { kind: 'lost', to: there };
  if (there.hash !== mine.hash)
    throw new AppendError(`commit ${mine.id} was appended before, with other content`);
  return { kind: 'committed' };
}
