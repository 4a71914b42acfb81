import { InvalidArgumentError } from 'commander';
import { z } from 'zod';

const Time = z.iso.datetime({ offset: true });

/** A time from the command line as events have it: ISO 8601 in UTC with milliseconds. */
export function timeOf(text: string): string {
  if (!Time.safeParse(text).success)
    throw new InvalidArgumentError('It must be a time such as 2026-01-31T12:00:00Z.');
  return new Date(text).toISOString();
}
