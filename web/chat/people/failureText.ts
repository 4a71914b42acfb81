import { ClientError, type RequestAnswer } from '@parley/client';
import { assertNever } from '../../../src/base/errors.js';
import { errorText } from '../../ui/errorText.js';
import { text } from '../../ui/texts.js';

/** One sentence about why something failed, for the user. */
export const failureText = (error: unknown): string =>
  error instanceof ClientError ? errorText(error) : text('failure.any');

type Refusal = RequestAnswer<'add members'>['refused'][number]['reason'];

/** Why somebody could not be added to a group. */
export function refusalText(name: string, reason: Refusal): string {
  switch (reason) {
    case 'not_taken':
      return text('refusal.notTaken', { name });
    case 'not_found':
      return text('refusal.notFound', { name });
    case 'too_many_groups':
      return text('refusal.tooManyGroups', { name });
    default:
      return assertNever(reason);
  }
}
