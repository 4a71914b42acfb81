import type { ClientError } from '../errors.js';
import type { Message } from '../types.js';
import { messages } from './folds.js';
import { kept, roomOf, type State, withRoom } from './state.js';

/** Somebody begins to look at a room. */
export function opened(state: State, roomId: string): State {
  return withRoom(state, roomId, { isOpen: true });
}

/** Nobody looks at it any more: only its newest message is kept. */
export function closed(state: State, roomId: string): State {
  const { known } = roomOf(state, roomId);
  return withRoom(state, roomId, { isOpen: false, pages: 'none', known: kept(known, known.slice(-1)) });
}

/** A page of it is on its way. */
export function loading(state: State, roomId: string): State {
  return of(state, roomId, 'loading');
}

/** A page of it has come. */
export function paged(state: State, roomId: string, page: readonly Message[]): State {
  return messages(of(state, roomId, 'some'), roomId, page);
}

/** A page of it could not be had. */
export function failed(state: State, roomId: string, error: ClientError): State {
  return of(state, roomId, error);
}

/** What becomes of a page concerns only who still looks. */
function of(state: State, roomId: string, pages: 'loading' | 'some' | ClientError): State {
  return roomOf(state, roomId).isOpen ? withRoom(state, roomId, { pages }) : state;
}
