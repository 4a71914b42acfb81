import type { User } from '@parley/client';
import { useEffect, useMemo } from 'preact/hooks';
import { hasWebCrypto } from '../ui/browser.js';
import { DarkThemeToggle } from '../ui/theme.js';
import { OpenAlarms } from './Alarms.js';
import type { AuditApi } from './auditApi.js';
import { ConsoleContext, type ConsoleServices, UserCache } from './consoleContext.js';
import { EventsView } from './events/EventsView.js';
import { HeadsView } from './heads/HeadsView.js';
import { PastView } from './past/PastView.js';
import { ProofView } from './proof/ProofView.js';
import { hrefOf, useRoute, type View, views } from './route.js';
import { Witness } from './witness/witness.js';

const titles: Readonly<Record<View, string>> = {
  events: 'Events',
  past: 'Point in time',
  proof: 'Proof',
  heads: 'Signed heads',
};
const components = { events: EventsView, past: PastView, proof: ProofView, heads: HeadsView } as const;

interface Props {
  readonly api: AuditApi;
  readonly user: User;
  readonly onSignOut: () => void;
}

/** The header, the alarms and the open view. The witness checks the signed heads whichever view is open. */
export function ConsoleLayout({ api, user, onSignOut }: Props) {
  const { view, query } = useRoute();
  const services: ConsoleServices = useMemo(
    () => ({ api, users: new UserCache(api), witness: new Witness(api) }),
    [api],
  );
  useEffect(() => {
    services.witness.start();
    return () => services.witness.stop();
  }, [services]);
  const OpenView = components[view];
  return (
    <ConsoleContext.Provider value={services}>
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
          <span class="username">{user.username}</span>
          <DarkThemeToggle />
          <button class="button" type="button" onClick={onSignOut}>
            Sign out
          </button>
        </div>
      </header>
      <OpenAlarms title={`${titles[view]} · Parley audit`} />
      {hasWebCrypto() ? null : (
        <p class="notice wide" role="status">
          This page cannot verify anything: browsers offer Web Crypto only over HTTPS and on localhost. Open
          the console over HTTPS, or use <code>npx parley audit verify</code>.
        </p>
      )}
      <main>
        <h1>{titles[view]}</h1>
        <OpenView key={view} query={query} />
      </main>
    </ConsoleContext.Provider>
  );
}
