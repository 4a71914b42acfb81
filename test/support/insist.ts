import { ClientError } from '../../packages/client/src/types.js';
import { untilFound } from './eventually.js';
import { isPassing } from './passing.js';

/** What `ask` resolves with, which is called again while it is refused for the time being, or may have happened. */
export async function insist<T>(what: string, ask: () => Promise<T>): Promise<T> {
  const { answer } = await untilFound(what, async () => {
    try {
      return { answer: await ask() };
    } catch (error) {
      if (error instanceof ClientError && isPassing(error.code)) return undefined;
      throw error;
    }
  });
  return answer;
}
