import type { ClientState } from '@parley/client';
import { useEffect, useState } from 'preact/hooks';
import { text } from '../ui/texts.js';

const SHOW_AFTER_MS = 1000;

interface Props {
  readonly state: ClientState;
  /** Whether the connection was lost and is not live again. */
  readonly isLost: boolean;
  readonly onRetry: () => void;
}

/** A banner while the connection is not live. */
export function ConnectionStatus(props: Props) {
  return (
    <div role="status" class="connection">
      {bannerFor(props)}
    </div>
  );
}

function bannerFor({ state, isLost, onRetry }: Props) {
  if (isLost) return <Lost state={state} onRetry={onRetry} />;
  switch (state.state) {
    case 'connecting':
      return <Late key={state.state} notice={text('connection.connecting')} />;
    case 'replaying':
      return <Late key={state.state} notice={text('connection.replaying')} />;
    default:
      return null;
  }
}

/** One banner over all attempts, whose height stays the same. Screen readers do not read what changes every second. */
function Lost({ state, onRetry }: Omit<Props, 'isLost'>) {
  return (
    <p class="notice">
      {text('connection.none')}{' '}
      <span class="attempt">
        <span aria-hidden="true">
          {state.state === 'waiting' ? (
            <Countdown key={state} delayMs={state.delayMs} />
          ) : (
            text('connection.connecting')
          )}
        </span>{' '}
        <button class="button plain" type="button" onClick={onRetry}>
          {text('connection.tryNow')}
        </button>
      </span>
    </p>
  );
}

/** Counts down to the next attempt. */
function Countdown({ delayMs }: { readonly delayMs: number }) {
  // On the monotonic clock: the time of the device may be changed meanwhile.
  const [until] = useState(() => performance.now() + delayMs);
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 500);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(0, Math.ceil((until - now) / 1000));
  return <>{text(seconds > 0 ? 'connection.nextAttempt' : 'connection.connecting', { seconds })}</>;
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
