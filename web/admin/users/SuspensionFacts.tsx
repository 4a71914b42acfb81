import { FailureNotice } from '../../console/FailureNotice.js';
import { Field } from '../../console/Field.js';
import { UserName } from '../../console/userNames.js';
import { formatUtcMs } from '../../ui/format.js';
import { useRequest } from '../../ui/hooks.js';
import { useVisitor } from '../adminContext.js';

interface Suspension {
  readonly since: string;
  readonly by: string;
  readonly via?: string;
  /** Null if it was erased with who decided. */
  readonly reason: string | null;
}

/** Since when a user is suspended, by whom and why. The log records the look, so it is asked for only when it is shown. */
export function SuspensionFacts({ userId }: { readonly userId: string }) {
  const { api } = useVisitor();
  const request = useRequest(userId, (signal) =>
    api.json<{ suspension: Suspension }>(`/admin/users/${userId}/suspension`, {}, signal),
  );
  if (request.state === 'failed') return <FailureNotice error={request.error} />;
  if (!request.value) return <p role="status">Loading…</p>;
  const { since, by, via, reason } = request.value.suspension;
  return (
    <section aria-label="Suspension" class="suspension">
      <h2>Suspended</h2>
      {reason === null ? (
        <p class="quiet">The reason was erased with the moderator who wrote it.</p>
      ) : (
        <blockquote dir="auto">{reason}</blockquote>
      )}
      <dl class="fields">
        <Field name="Since">{formatUtcMs(since)}</Field>
        <Field name="By">
          <DecidedBy by={by} via={via} />
        </Field>
      </dl>
    </section>
  );
}

function DecidedBy({ by, via }: Pick<Suspension, 'by'> & { readonly via: string | undefined }) {
  if (by !== 'system') return <UserName id={by} />;
  if (via === undefined) return <>an operator, on the command line</>;
  return (
    <>
      the host application, with key <span class="mono">{via}</span>
    </>
  );
}
