import { useEffect, useLayoutEffect, useState } from 'preact/hooks';
import { shortId, UserNames } from '../console/userNames.js';
import { useConsole } from './consoleContext.js';
import type { RoomLabel } from './names.js';

/** A group's name, or the members of a private chat; the short id until they are known. */
export function RoomName({ id }: { readonly id: string }) {
  const { names } = useConsole();
  const [label, setLabel] = useState<RoomLabel>();
  useEffect(() => {
    let isOver = false;
    setLabel(undefined);
    void names.room(id).then((found) => {
      if (!isOver) setLabel(found);
    });
    return () => {
      isOver = true;
    };
  }, [id, names]);
  return label ? <LabelText label={label} /> : <span title={id}>Room {shortId(id)}</span>;
}

/** A room's name if the console knows it already: it asks for nothing. Otherwise the short id. */
export function KnownRoomName({ id }: { readonly id: string }) {
  const { names } = useConsole();
  const [label, setLabel] = useState(() => names.known(id));
  useLayoutEffect(() => {
    const update = (): void => setLabel(names.known(id));
    update();
    return names.subscribe(update);
  }, [id, names]);
  return label ? <LabelText label={label} /> : <span class="mono">room:{shortId(id)}</span>;
}

function LabelText({ label }: { readonly label: RoomLabel }) {
  if (label.members === undefined)
    return <span dir="auto">Group {label.name ?? 'whose name is erased'}</span>;
  return (
    <span>
      Chat of <UserNames ids={label.members} />
    </span>
  );
}
