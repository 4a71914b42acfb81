import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';

/**
 * A component whose code is loaded when it is first shown, and nothing until then.
 *
 * @param onError called when the code cannot be loaded; it is tried again the next time
 */
export function lazily<P extends object>(
  load: () => Promise<ComponentType<P>>,
  onError: (error: unknown) => void = console.error,
): ComponentType<P> {
  let loaded: ComponentType<P> | undefined;
  return function Lazy(props: P) {
    const [Shown, setShown] = useState(() => loaded);
    useEffect(() => {
      if (Shown) return;
      load().then((component) => {
        loaded = component;
        setShown(() => component);
      }, onError);
    }, []);
    return Shown ? <Shown {...props} /> : null;
  };
}
