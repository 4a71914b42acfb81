import { useEffect, useMemo } from 'preact/hooks';
import type { User } from '../../src/client/index.js';
import { Alarms } from './Alarms.js';
import type { Api } from './api.js';
import { type Console, ConsoleContext } from './console.js';
import { EventsView } from './events/EventsView.js';
import { HeadsView } from './heads/HeadsView.js';
import { Names } from './names.js';
import { PastView } from './past/PastView.js';
import { ProofView } from './proof/ProofView.js';
import { hrefOf, useRoute, type View, views } from './route.js';
import { SchemeButton } from './SchemeButton.js';
import { hasWebCrypto, Witness } from './witness/witness.js';

const titles: Readonly<Record<View, string>> = {
  events: 'Events',
  past: 'As of then',
  proof: 'Proof',
  heads: 'Heads',
};
const shown = { events: EventsView, past: PastView, proof: ProofView, heads: HeadsView } as const;

interface Props {
  readonly api: Api;
  readonly user: User;
  readonly onSignOut: () => void;
}

/** What is around every view; the heads are watched from whichever is open. */
export function Frame({ api, user, onSignOut }: Props) {
  const { view, query } = useRoute();
  const console: Console = useMemo(() => ({ api, names: new Names(api), witness: new Witness(api) }), [api]);
  useEffect(() => {
    console.witness.start();
    return () => console.witness.stop();
  }, [console]);
  const Shown = shown[view];
  return (
    <ConsoleContext.Provider value={console}>
      <header class="top">
        <p class="brand">
          Parley <span>audit</span>
        </p>
        <nav aria-label="Views">
          <ul>
            {views.map((each) => (
              <li key={each}>
                <a href={hrefOf(each)} aria-current={each === view ? 'page' : undefined}>
                  {titles[each]}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <div class="row account">
          <span class="who">{user.username}</span>
          <SchemeButton />
          <button class="button" type="button" onClick={onSignOut}>
            Sign out
          </button>
        </div>
      </header>
      <Alarms title={`${titles[view]} · Parley audit`} />
      {hasWebCrypto() ? null : (
        <p class="notice wide" role="status">
          Nothing can be verified on this page: browsers offer Web Crypto over HTTPS and on the same machine
          only. Open it there, or use <code>npx parley audit verify</code>.
        </p>
      )}
      <main>
        <h1>{titles[view]}</h1>
        <Shown key={view} query={query} />
      </main>
    </ConsoleContext.Provider>
  );
}
