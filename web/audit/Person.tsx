import { useEffect, useState } from 'preact/hooks';
import { useConsole } from './console.js';

/** The beginning of an id, enough to tell ids apart by eye. */
export const shortId = (id: string): string => id.slice(0, 8);

/** A person by name as soon as it is known, before that and without one by id. */
export function Person({ id }: { readonly id: string }) {
  const { names } = useConsole();
  const [name, setName] = useState<string>();
  useEffect(() => {
    let isOver = false;
    setName(undefined);
    if (id !== 'system')
      void names.of(id).then((user) => {
        if (!isOver && user) setName(user.username ?? 'erased');
      });
    return () => {
      isOver = true;
    };
  }, [id, names]);
  if (id === 'system') return <span>system</span>;
  return <span title={id}>{name ?? <span class="mono">{shortId(id)}</span>}</span>;
}
