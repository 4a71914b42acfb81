import { useEffect, useState } from 'preact/hooks';
import { text } from '../../ui/texts.js';
import { applyUpdate, installWorker } from './worker.js';

/** Installs the worker, and says when a new version can be loaded. */
export function UpdateNotice() {
  const [isNew, setNew] = useState(false);
  useEffect(() => void installWorker(() => setNew(true)), []);
  return (
    <div role="status" class="update">
      {isNew && (
        <p class="notice">
          {text('app.newVersion')}
          <button class="button primary" type="button" onClick={applyUpdate}>
            {text('app.update')}
          </button>
        </p>
      )}
    </div>
  );
}
