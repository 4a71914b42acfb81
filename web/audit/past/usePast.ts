import { useConsole } from '../console.js';
import { type Answer, useAnswer } from '../useAnswer.js';

/** Each look is recorded: one is taken when the slider rests. */
const REST_MS = 200;

/** What `path` was at a moment, asked for once the moment stays. */
export function usePast<T>(path: string, at: string): Answer<T> {
  const { api } = useConsole();
  return useAnswer(`${path}@${at}`, (signal) => api.json<T>(path, { at }, signal), REST_MS);
}
