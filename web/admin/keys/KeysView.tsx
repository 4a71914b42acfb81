import { useState } from 'preact/hooks';
import { Question } from '../../console/Dialog.js';
import { FailureNotice } from '../../console/FailureNotice.js';
import { formatUtc, pluralize } from '../../ui/format.js';
import { useReloadable } from '../../ui/hooks.js';
import { useVisitor } from '../adminContext.js';

interface ServerKey {
  readonly keyId: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly createdAt: string;
  readonly revokedAt?: string;
}

/** The keys with which the host application's server acts for its users, the newest first. */
export function KeysView() {
  const { api } = useVisitor();
  const { request, reload } = useReloadable((signal) =>
    api.json<{ keys: readonly ServerKey[] }>('/admin/keys', {}, signal),
  );
  const keys = request.value?.keys;
  return (
    <>
      <p class="quiet">
        With a server key, the server of your application acts for its users. An operator makes one with{' '}
        <code>parley key add</code>.
      </p>
      <p class="quiet" role="status">
        {keys ? countText(keys) : 'Loading…'}
      </p>
      {request.state === 'failed' ? <FailureNotice error={request.error} /> : null}
      <ul class="list keys">
        {keys?.toReversed().map((key) => (
          <KeyRow key={key.keyId} serverKey={key} onChanged={reload} />
        ))}
      </ul>
    </>
  );
}

function countText(keys: readonly ServerKey[]): string {
  const valid = keys.filter(({ revokedAt }) => revokedAt === undefined).length;
  const revoked = keys.length - valid;
  if (keys.length === 0) return 'There are no keys.';
  return `${pluralize(valid, 'valid key')}${revoked === 0 ? '' : `, ${revoked} revoked`}.`;
}

interface RowProps {
  readonly serverKey: ServerKey;
  /** Loads the list again. */
  readonly onChanged: () => void;
}

function KeyRow({ serverKey, onChanged }: RowProps) {
  const { keyId, name, scopes, createdAt, revokedAt } = serverKey;
  const [isAsking, setAsking] = useState(false);
  return (
    <li class="server-key">
      <span class="name" dir="auto">
        {name}
      </span>
      <span>{scopes.join(', ')}</span>
      <time class="made" dateTime={createdAt}>
        made {formatUtc(createdAt)} UTC
      </time>
      <span class="mono id">{keyId}</span>
      {revokedAt === undefined ? (
        <button
          class="button danger key-end"
          type="button"
          aria-label={`Revoke ${name}`}
          onClick={() => setAsking(true)}
        >
          Revoke
        </button>
      ) : (
        <span class="badge bad key-end" title={`${formatUtc(revokedAt)} UTC`}>
          revoked
        </span>
      )}
      {isAsking ? (
        <RevokeQuestion serverKey={serverKey} onClose={() => setAsking(false)} onDone={onChanged} />
      ) : null}
    </li>
  );
}

interface DialogProps {
  readonly serverKey: ServerKey;
  readonly onClose: () => void;
  /** Called when the key is revoked. */
  readonly onDone: () => void;
}

function RevokeQuestion({ serverKey: { keyId, name }, onClose, onDone }: DialogProps) {
  const { api } = useVisitor();
  return (
    <Question
      title={`Revoke ${name}?`}
      action="Revoke the key"
      isDangerous
      onClose={onClose}
      onConfirm={async () => {
        await api.send('DELETE', `/admin/keys/${keyId}`);
        onDone();
      }}
    >
      <p>All nodes refuse the key at once. You cannot undo this: an operator can make a new key.</p>
    </Question>
  );
}
