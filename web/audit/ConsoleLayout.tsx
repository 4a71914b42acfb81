import { useEffect, useMemo } from 'preact/hooks';
import { ConsoleFrame } from '../console/ConsoleFrame.js';
import type { Visitor } from '../console/Gate.js';
import { useRoute } from '../console/route.js';
import { UserCache, UsersContext } from '../console/userNames.js';
import { hasWebCrypto } from '../ui/browser.js';
import { OpenAlarms } from './Alarms.js';
import { ConsoleContext, type ConsoleServices } from './consoleContext.js';
import { EventsView } from './events/EventsView.js';
import { HeadsView } from './heads/HeadsView.js';
import { MessageView } from './message/MessageView.js';
import { NameSearch } from './names.js';
import { PastView } from './past/PastView.js';
import { forgetEvents } from './proof/fetchProof.js';
import { ProofView } from './proof/ProofView.js';
import { type View, views } from './route.js';
import { Witness } from './witness/witness.js';

const titles: Readonly<Record<View, string>> = {
  events: 'Events',
  past: 'Point in time',
  message: 'Message',
  proof: 'Proof',
  heads: 'Signed heads',
};
const components = {
  events: EventsView,
  past: PastView,
  message: MessageView,
  proof: ProofView,
  heads: HeadsView,
} as const;

/** The header, the alarms and the open view. The witness checks the signed heads whichever view is open. */
export function ConsoleLayout({ visitor }: { readonly visitor: Visitor }) {
  const { api } = visitor;
  const { view, query } = useRoute(views);
  const services: ConsoleServices = useMemo(
    () => ({ api, names: new NameSearch(api), witness: new Witness(api) }),
    [api],
  );
  const users = useMemo(() => new UserCache(api), [api]);
  useEffect(
    () =>
      users.subscribe((_, isErased) => {
        if (!isErased) return;
        services.names.forget();
        forgetEvents();
      }),
    [users, services],
  );
  useEffect(() => {
    services.witness.start();
    return () => services.witness.stop();
  }, [services]);
  const OpenView = components[view];
  return (
    <ConsoleContext.Provider value={services}>
      <UsersContext.Provider value={users}>
        <ConsoleFrame
          name="audit"
          path="/audit"
          {...{ visitor, view }}
          titles={views.map((each) => [each, titles[each]])}
          above={
            <>
              <OpenAlarms title={`${titles[view]} · Parley audit`} />
              {hasWebCrypto() ? null : (
                <p class="notice wide" role="status">
                  This page cannot verify anything: browsers offer Web Crypto only over HTTPS and on
                  localhost. Open the console over HTTPS, or use <code>npx parley audit verify</code>.
                </p>
              )}
            </>
          }
        >
          <OpenView key={view} query={query} />
        </ConsoleFrame>
      </UsersContext.Provider>
    </ConsoleContext.Provider>
  );
}
