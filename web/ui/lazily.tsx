import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { text } from './texts.js';

/**
 * A component whose code is loaded when it is first shown, and nothing until then. If it cannot be loaded, its place says
 * so, with a button that tries again.
 */
export function lazily<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let loaded: ComponentType<P> | undefined;
  return function Lazy(props: P) {
    const [Shown, setShown] = useState(() => loaded);
    const [hasFailed, setFailed] = useState(false);
    useEffect(() => {
      if (Shown || hasFailed) return;
      load().then(
        (component) => {
          loaded = component;
          setShown(() => component);
        },
        () => setFailed(true),
      );
    }, [hasFailed]);
    if (Shown) return <Shown {...props} />;
    return hasFailed ? (
      <p class="notice with-action" role="alert">
        {text('dialog.failed')}
        <button class="button" type="button" onClick={() => setFailed(false)}>
          {text('messages.tryAgain')}
        </button>
      </p>
    ) : null;
  };
}
