import { useCallback, useEffect, useState } from 'preact/hooks';
import { changeAddress } from './backStep.js';

const PREFIX = '#room=';
const roomInAddress = (): string | undefined =>
  location.hash.startsWith(PREFIX) ? location.hash.slice(PREFIX.length) : undefined;

/**
 * The open room and a function that opens another one, or the list. The room is in the page's address, so that
 * Back, Forward and a reload keep it. Only opening a room from the list adds a step for Back.
 */
export function useOpenRoom(): readonly [string | undefined, (roomId: string | undefined) => void] {
  const [openRoomId, setOpenRoomId] = useState(roomInAddress);
  useEffect(() => {
    const update = (): void => setOpenRoomId(roomInAddress());
    addEventListener('popstate', update);
    return () => removeEventListener('popstate', update);
  }, []);
  const openRoom = useCallback((roomId: string | undefined): void => {
    const before = roomInAddress();
    if (roomId === before) return;
    const address = roomId === undefined ? location.pathname + location.search : PREFIX + roomId;
    changeAddress(address, roomId !== undefined && before === undefined);
    setOpenRoomId(roomId);
  }, []);
  return [openRoomId, openRoom];
}
