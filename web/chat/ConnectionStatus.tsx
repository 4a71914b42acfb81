import type { ClientState } from '@parley/client';
import { useEffect, useState } from 'preact/hooks';
import { text } from '../ui/texts.js';

const SHOW_AFTER_MS = 1000;

interface Props {
  readonly state: ClientState;
  readonly onRetry: () => void;
}

/** A banner while the connection is not live. */
export function ConnectionStatus({ state, onRetry }: Props) {
  return (
    <div role="status" class="connection">
      {bannerFor(state, onRetry)}
    </div>
  );
}

function bannerFor(state: ClientState, onRetry: () => void) {
  switch (state.state) {
    case 'waiting':
      return <Waiting key={state} delayMs={state.delayMs} onRetry={onRetry} />;
    case 'connecting':
      return <Late key={state.state} notice={text('connection.connecting')} />;
    case 'replaying':
      return <Late key={state.state} notice={text('connection.replaying')} />;
    default:
      return null;
  }
}

/** Counts down to the next attempt. Screen readers do not read the countdown: it changes every second. */
function Waiting({ delayMs, onRetry }: { readonly delayMs: number; readonly onRetry: () => void }) {
  // On the monotonic clock: the time of the device may be changed meanwhile.
  const [until] = useState(() => performance.now() + delayMs);
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 500);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(0, Math.ceil((until - now) / 1000));
  return (
    <p class="notice">
      {text('connection.none')}
      <span aria-hidden="true">
        {' '}
        {seconds > 0 ? text('connection.nextAttempt', { seconds }) : text('connection.connecting')}
      </span>{' '}
      <button class="button plain" type="button" onClick={onRetry}>
        {text('connection.tryNow')}
      </button>
    </p>
  );
}

/** Shown late, because most connections open and catch up faster, and the banner would only flash. */
function Late({ notice }: { readonly notice: string }) {
  const [isLate, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), SHOW_AFTER_MS);
    return () => clearTimeout(timer);
  }, []);
  return isLate ? <p class="notice">{notice}</p> : null;
}
