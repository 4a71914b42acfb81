import { InvalidArgumentError } from 'commander';

/** A partition's number. */
export function numberOf(text: string): number {
  if (!/^\d{1,2}$/.test(text)) throw new InvalidArgumentError('It must be a number from 0 on.');
  return Number(text);
}
