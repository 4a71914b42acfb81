import type { ClientError } from '../errors.js';
import { removing, roomOf, type State, setting, type Unsent } from './state.js';

/**
 * A message that waits to be sent, last of all. Whatever brings it back from the server takes it out
 * again; one that is back already, as after a restart, waits no more.
 */
export function queued(state: State, { roomId, entry }: Unsent): State {
  const { messageId } = entry;
  if (roomOf(state, roomId).known.some((message) => message.messageId === messageId)) return state;
  const unsent = new Map(removing(state.unsent, messageId)).set(messageId, { roomId, entry });
  return { ...state, unsent };
}

/** A message that will not be sent. */
export function refused(state: State, messageId: string, error: ClientError): State {
  const waiting = state.unsent.get(messageId);
  if (waiting === undefined) return state;
  const entry = { ...waiting.entry, state: 'refused' as const, error };
  return { ...state, unsent: setting(state.unsent, messageId, { ...waiting, entry }) };
}

/** A refused message that its writer gives up. */
export function discarded(state: State, messageId: string): State {
  if (state.unsent.get(messageId)?.entry.state !== 'refused') return state;
  return { ...state, unsent: removing(state.unsent, messageId) };
}
