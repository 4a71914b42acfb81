import { ClientError } from '@parley/client';
import { errorText } from '../../ui/errorText.js';
import { text } from '../../ui/texts.js';

/** One sentence about why something failed, for the user. */
export const failureText = (error: unknown): string =>
  error instanceof ClientError ? errorText(error) : text('failure.any');
