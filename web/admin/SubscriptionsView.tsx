import { useState } from 'preact/hooks';
import { describeError } from '../console/consoleApi.js';
import { Question } from '../console/Dialog.js';
import { Field } from '../console/Field.js';
import { formatUtcMs, parseTimeField, pluralize, TIME_FIELD_HINT } from '../ui/format.js';
import { useRequest } from '../ui/hooks.js';
import { useVisitor } from './adminContext.js';

interface Subscription {
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

/** The subscriptions of the host application: how far each is, and going on from another place. */
export function SubscriptionsView() {
  const { api } = useVisitor();
  const [attempt, setAttempt] = useState(0);
  const request = useRequest(String(attempt), (signal) =>
    api.json<{ subscriptions: readonly Subscription[] }>('/admin/subscriptions', {}, signal),
  );
  const reload = (): void => setAttempt(attempt + 1);
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
      {request.state === 'failed' ? (
        <p class="notice bad" role="alert">
          {describeError(request.error)}
        </p>
      ) : null}
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
  const [isSeeking, setSeeking] = useState(false);
  return (
    <details>
      <summary>
        <span class="name">{id}</span>
        <span class="url mono">{url}</span>
        <span>{stateBadge(subscription)}</span>
        <span class="lag">
          {lagEvents === 0
            ? 'up to date'
            : `${pluralize(lagEvents, 'event')}, ${Math.round(lagSeconds)} s behind`}
        </span>
      </summary>
      <div class="details">
        <dl class="fields">
          {failing ? (
            <Field name="Failing">
              since {formatUtcMs(failing.since)} with {failing.status}; next try {formatUtcMs(failing.next)}
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
          <p class="quiet">Paused by the host application, or because its receiver answered 410.</p>
        ) : null}
        <div class="row">
          <button class="button" type="button" onClick={() => setSeeking(true)}>
            Continue from another place
          </button>
        </div>
        {isSeeking ? (
          <SeekQuestion subscription={subscription} onClose={() => setSeeking(false)} onDone={onChanged} />
        ) : null}
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

interface SeekProps {
  readonly subscription: Subscription;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

function SeekQuestion({ subscription: { id }, onClose, onDone }: SeekProps) {
  const { api } = useVisitor();
  const [place, setPlace] = useState('time');
  const seek = async (fields: FormData): Promise<void> => {
    const text = String(fields.get('value') ?? '').trim();
    // A text that is no time goes to the server as it is, and the server's error explains it.
    const to = place === 'time' ? (parseTimeField(text) ?? text) : place === 'cursor' ? text : place;
    await api.send('POST', `/admin/subscriptions/${encodeURIComponent(id)}/seek`, { to });
    onDone();
  };
  return (
    <Question
      title={`Where ${id} continues`}
      action="Continue from there"
      isDangerous
      onClose={onClose}
      onConfirm={seek}
    >
      <p>
        From an earlier place, Parley sends events again. From a later place, it never sends the events in
        between.
      </p>
      <div class="field">
        <label for="place">Place</label>
        <select
          class="input"
          id="place"
          value={place}
          onChange={({ currentTarget }) => setPlace(currentTarget.value)}
        >
          <option value="time">a time</option>
          <option value="start">the start of the log</option>
          <option value="now">now: skip what was not sent yet</option>
          <option value="cursor">a cursor</option>
        </select>
      </div>
      {place === 'time' || place === 'cursor' ? (
        <div class="field">
          <label for="value">{place === 'time' ? 'Time (UTC)' : 'Cursor'}</label>
          <input
            class="input"
            id="value"
            name="value"
            required
            placeholder={place === 'time' ? TIME_FIELD_HINT : ''}
            autocomplete="off"
            spellcheck={false}
          />
        </div>
      ) : null}
    </Question>
  );
}
