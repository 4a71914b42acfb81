import { useEffect, useState } from 'preact/hooks';
import { shortId, UserName } from '../console/userNames.js';
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
  if (!label) return <span title={id}>Room {shortId(id)}</span>;
  if (label.members === undefined)
    return <span dir="auto">Group {label.name ?? 'whose name is erased'}</span>;
  return (
    <span>
      Chat of{' '}
      {label.members.map((member, i) => (
        <span key={member}>
          {i === 0 ? '' : ' and '}
          <UserName id={member} />
        </span>
      ))}
    </span>
  );
}
