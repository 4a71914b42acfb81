/** Which room is open is in the address, so that Back, Forward and a reload keep it. */

const prefix = '#room=';

/** The open room; none: the list of chats. */
export const placeOf = (): string | undefined =>
  location.hash.startsWith(prefix) ? location.hash.slice(prefix.length) : undefined;

/** Opens a room, or the list. A room is a step that Back undoes; going from room to room is not. */
export function goTo(roomId: string | undefined): void {
  if (roomId === placeOf()) return;
  const address = roomId === undefined ? location.pathname + location.search : prefix + roomId;
  if (roomId !== undefined && placeOf() === undefined) history.pushState(null, '', address);
  else history.replaceState(null, '', address);
  dispatchEvent(new PopStateEvent('popstate'));
}

/** Calls `listener` whenever another place is shown; what it returns stops that. */
export function onPlace(listener: () => void): () => void {
  addEventListener('popstate', listener);
  return () => removeEventListener('popstate', listener);
}
