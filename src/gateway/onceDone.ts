import { ParleyError, unknown } from '../errors.js';
import { isOutage } from '../outage.js';

/**
 * The rest of an answer whose command has been done. Where that cannot be had now it rejects with `unknown`:
 * `overloaded` says that nothing was done, and a repeat will get the answer.
 */
export async function onceDone<T>(rest: () => Promise<T>): Promise<T> {
  try {
    return await rest();
  } catch (error) {
    const isLate = isOutage(error) || (error instanceof ParleyError && error.code === 'overloaded');
    if (isLate) throw unknown('it was done, but a store does not give the answer', error);
    throw error;
  }
}
