import { useEffect, useState } from 'preact/hooks';
import type { ClientState } from '../../src/client/index.js';

interface ConnectionProps {
  readonly state: ClientState;
  readonly onRetry: () => void;
}

/** How the connection is, where it is not as it should be. */
export function Connection({ state, onRetry }: ConnectionProps) {
  return (
    <div role="status" class="connection">
      {said(state, onRetry)}
    </div>
  );
}

function said(state: ClientState, onRetry: () => void) {
  switch (state.state) {
    case 'waiting':
      return <Waiting key={state} delayMs={state.delayMs} onRetry={onRetry} />;
    case 'connecting':
      return <Slowly />;
    case 'replaying':
      return <p class="notice">Catching up…</p>;
    default:
      return null;
  }
}

/** Counts down to the next try; read out once, not every second. */
function Waiting({ delayMs, onRetry }: { readonly delayMs: number; readonly onRetry: () => void }) {
  const [until] = useState(() => Date.now() + delayMs);
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(0, Math.ceil((until - now) / 1000));
  return (
    <p class="notice">
      No connection. What you write is sent when it is back.
      <span aria-hidden="true"> {seconds > 0 ? `Next try in ${seconds} s.` : 'Trying…'}</span>{' '}
      <button class="button plain" type="button" onClick={onRetry}>
        Try now
      </button>
    </p>
  );
}

/** A connection that takes its time; most do not, and nothing flashes for those. */
function Slowly() {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 1000);
    return () => clearTimeout(timer);
  }, []);
  return late ? <p class="notice">Connecting…</p> : null;
}
