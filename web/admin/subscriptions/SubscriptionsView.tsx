import { FailureNotice } from '../../console/FailureNotice.js';
import { Field } from '../../console/Field.js';
import { formatUtcMs, pluralize } from '../../ui/format.js';
import { useReloadable } from '../../ui/hooks.js';
import { useVisitor } from '../adminContext.js';
import { formatDuration } from '../metrics.js';
import { SubscriptionActions } from './SubscriptionActions.js';

export interface Subscription {
  readonly id: string;
  readonly url: string;
  readonly types?: readonly string[];
  readonly rooms?: readonly string[];
  readonly batch?: number;
  readonly cursor: string;
  readonly lagEvents: number;
  readonly lagSeconds: number;
  readonly failing?: { readonly since: string; readonly status: number | string; readonly next: string };
  readonly paused: boolean;
}

/** The subscriptions of the host application: how far each is, and what can be done with it. */
export function SubscriptionsView() {
  const { api } = useVisitor();
  const { request, reload } = useReloadable((signal) =>
    api.json<{ subscriptions: readonly Subscription[] }>('/admin/subscriptions', {}, signal),
  );
  const subscriptions = request.value?.subscriptions;
  return (
    <>
      <div class="row">
        <p class="quiet" role="status">
          {subscriptions ? countText(subscriptions) : 'Loading…'}
        </p>
        <button class="button" type="button" onClick={reload} disabled={request.state === 'loading'}>
          Refresh
        </button>
      </div>
      {request.state === 'failed' ? <FailureNotice error={request.error} /> : null}
      <ul class="list subscriptions">
        {subscriptions?.map((subscription) => (
          <li key={subscription.id}>
            <SubscriptionRow subscription={subscription} onChanged={reload} />
          </li>
        ))}
      </ul>
    </>
  );
}

const countText = ({ length }: readonly Subscription[]): string =>
  length === 0
    ? 'There are no subscriptions. The host application creates them with a server key.'
    : `${pluralize(length, 'subscription')}.`;

interface RowProps {
  readonly subscription: Subscription;
  readonly onChanged: () => void;
}

function SubscriptionRow({ subscription, onChanged }: RowProps) {
  const { id, url, types, rooms, batch, lagEvents, lagSeconds, failing, paused } = subscription;
  return (
    <details>
      <summary>
        <span class="name">{id}</span>
        <span class="url mono">{url}</span>
        <span>{stateBadge(subscription)}</span>
        <span class="lag">
          {lagEvents === 0
            ? 'up to date'
            : `${pluralize(lagEvents, 'event')}, ${formatDuration(lagSeconds)} behind`}
        </span>
      </summary>
      <div class="details">
        <dl class="fields">
          {failing ? (
            <Field name="Failing">
              since {formatUtcMs(failing.since)}: {failureText(failing.status)}. Next try{' '}
              {formatUtcMs(failing.next)}.
            </Field>
          ) : null}
          <Field name="Types">{types?.join(', ') ?? 'all except presence and reads of auditors'}</Field>
          <Field name="Rooms">{rooms ? pluralize(rooms.length, 'room') : 'all'}</Field>
          <Field name="Batch">{batch === undefined ? 'one event a delivery' : `up to ${batch} events`}</Field>
          <Field name="Cursor">
            <span class="mono">{subscription.cursor}</span>
          </Field>
        </dl>
        {paused ? (
          <p class="quiet">
            Paused by an admin, by the host application, or because its receiver answered 410. Nothing is
            lost: it continues from its cursor.
          </p>
        ) : null}
        <SubscriptionActions subscription={subscription} onChanged={onChanged} />
      </div>
    </details>
  );
}

function stateBadge({ failing, paused }: Subscription) {
  if (paused) return <span class="badge warning">paused</span>;
  return failing ? (
    <span class="badge bad">failing: {failing.status}</span>
  ) : (
    <span class="badge good">ok</span>
  );
}

/** Why the last try failed. */
function failureText(status: number | string): string {
  switch (status) {
    case 'timeout':
      return 'no answer within 15 s';
    case 'unreachable':
      return 'no connection to its address';
    case 'address':
      return 'its address is not permitted (EGRESS_ALLOW)';
    default:
      return `its receiver answered ${status}`;
  }
}
