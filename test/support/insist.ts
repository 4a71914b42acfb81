import { ClientError } from '../../packages/client/src/types.js';
import { eventually } from './eventually.js';

/** What `ask` resolves with, which is called again while it is refused for the time being, or may have happened. */
export async function insist<T>(what: string, ask: () => Promise<T>): Promise<T> {
  const answers: T[] = [];
  await eventually(what, async () => {
    try {
      answers.push(await ask());
    } catch (error) {
      if (!(error instanceof ClientError && ['overloaded', 'unknown'].includes(error.code))) throw error;
    }
    return answers.length > 0;
  });
  return answers[0] as T; // It was answered.
}
