import { ClientError } from '@parley/client';
import { useState } from 'preact/hooks';
import { Question } from '../../console/Dialog.js';
import { TimeField } from '../../console/TimeField.js';
import { parseTimeField, TIME_FIELD_HINT } from '../../ui/format.js';
import { useVisitor } from '../adminContext.js';
import { ShownOnce } from '../ShownOnce.js';
import type { Subscription } from './SubscriptionsView.js';

interface Props {
  readonly subscription: Subscription;
  /** Loads the list again. */
  readonly onChanged: () => void;
}

type OpenDialog = 'pause' | 'resume' | 'rotate' | 'seek';

/** What an admin can do with a subscription. Each asks first, and the log names the admin. */
export function SubscriptionActions({ subscription, onChanged }: Props) {
  const [open, setOpen] = useState<OpenDialog>();
  const { failing, paused } = subscription;
  const common = { subscription, onClose: () => setOpen(undefined), onDone: onChanged };
  const button = (dialog: OpenDialog, text: string) => (
    <button class="button" type="button" onClick={() => setOpen(dialog)}>
      {text}
    </button>
  );
  return (
    <>
      <div class="row">
        {paused ? button('resume', 'Resume') : button('pause', 'Pause')}
        {failing && !paused ? button('resume', 'Try again now') : null}
        {button('seek', 'Continue from another place')}
        {button('rotate', 'New secret')}
      </div>
      {open === 'pause' || open === 'resume' ? <StateQuestion {...common} verb={open} /> : null}
      {open === 'rotate' ? <NewSecret {...common} /> : null}
      {open === 'seek' ? <SeekQuestion {...common} /> : null}
    </>
  );
}

interface DialogProps {
  readonly subscription: Subscription;
  readonly onClose: () => void;
  /** Called when the subscription has changed. */
  readonly onDone: () => void;
}

const pathOf = ({ id }: Subscription, verb: OpenDialog): string =>
  `/admin/subscriptions/${encodeURIComponent(id)}/${verb}`;

function StateQuestion({
  subscription,
  verb,
  onClose,
  onDone,
}: DialogProps & { readonly verb: 'pause' | 'resume' }) {
  const { api } = useVisitor();
  const isPause = verb === 'pause';
  const action = isPause ? 'Pause' : subscription.paused ? 'Resume' : 'Try again now';
  return (
    <Question
      title={`${action}: ${subscription.id}`}
      action={action}
      onClose={onClose}
      onConfirm={async () => {
        await api.send('POST', pathOf(subscription, verb));
        onDone();
      }}
    >
      <p>
        {isPause
          ? 'Parley sends nothing until somebody resumes it. Nothing is lost: it then continues from its cursor.'
          : 'It continues from its cursor at once, also if the last try has failed.'}
      </p>
    </Question>
  );
}

/** Makes a new secret, and shows it once. */
function NewSecret({ subscription, onClose, onDone }: DialogProps) {
  const { api } = useVisitor();
  const [secret, setSecret] = useState<string>();
  const title = `New secret for ${subscription.id}`;
  if (secret === undefined)
    return (
      <Question
        title={title}
        action="Make a new secret"
        isDangerous
        onClose={onClose}
        staysOpen
        onConfirm={async () => {
          const answer = await api.send<{ secret: string }>('POST', pathOf(subscription, 'rotate'));
          setSecret(answer.secret);
        }}
      >
        <p>
          Deliveries are then signed with the new secret, and for 24 hours with the old one too. The receiver
          needs the new one before that time ends.
        </p>
      </Question>
    );
  const close = (): void => {
    onClose();
    onDone();
  };
  return (
    <ShownOnce title={title} secret={secret} onClose={close}>
      <p>Give this secret to the receiver of {subscription.url}. It is shown only now.</p>
    </ShownOnce>
  );
}

function SeekQuestion({ subscription, onClose, onDone }: DialogProps) {
  const { api } = useVisitor();
  const [place, setPlace] = useState('time');
  const seek = async (fields: FormData): Promise<void> => {
    const text = String(fields.get('value') ?? '').trim();
    const time = place === 'time' ? parseTimeField(text, 9) : undefined;
    if (place === 'time' && time === undefined)
      throw new ClientError({
        code: 'bad_request',
        message: `Write the time as ${TIME_FIELD_HINT}, in UTC.`,
      });
    const to = time ?? (place === 'cursor' ? text : place);
    await api.send('POST', pathOf(subscription, 'seek'), { to });
    onDone();
  };
  return (
    <Question
      title={`Where ${subscription.id} continues`}
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
      {place === 'time' ? <TimeField name="value" label="Time" value={undefined} /> : null}
      {place === 'cursor' ? (
        <div class="field">
          <label for="value">Cursor</label>
          <input class="input" id="value" name="value" required autocomplete="off" spellcheck={false} />
        </div>
      ) : null}
    </Question>
  );
}
