import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Dialog } from '../console/Dialog.js';

interface Props {
  readonly title: string;
  /** What cannot be shown again. */
  readonly secret: string;
  /** What to do with it. */
  readonly children: ComponentChildren;
  readonly onClose: () => void;
}

/** A secret that the server has told only now, with a button that copies it. */
export function ShownOnce({ title, secret, children, onClose }: Props) {
  const [copied, setCopied] = useState('');
  const copy = (): void =>
    void navigator.clipboard.writeText(secret).then(
      () => setCopied('Copied.'),
      () => setCopied('This browser does not let the page copy. Select the text.'),
    );
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="content">
        {children}
        <p class="code mono">{secret}</p>
        <div class="row end">
          <span role="status">{copied}</span>
          <button class="button" type="button" onClick={copy}>
            Copy
          </button>
          <button class="button primary" type="button" onClick={onClose}>
            Done
          </button>
        </div>
      </div>
    </Dialog>
  );
}
