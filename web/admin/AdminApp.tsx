import { render } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import '../ui/tokens.css';
import '../ui/controls.css';
import '../console/console.css';
import './admin.css';
import { ConsoleFrame } from '../console/ConsoleFrame.js';
import { type Closed, Gate, type Visitor } from '../console/Gate.js';
import { useRoute } from '../console/route.js';
import { UserCache, UsersContext } from '../console/userNames.js';
import { applyTheme } from '../ui/theme.js';
import { VisitorContext } from './adminContext.js';
import { KeysView } from './keys/KeysView.js';
import { ReportsView } from './reports/ReportsView.js';
import { StatusView } from './StatusView.js';
import { SubscriptionsView } from './subscriptions/SubscriptionsView.js';
import { UsersView } from './users/UsersView.js';

const views = ['reports', 'users', 'subscriptions', 'keys', 'status'] as const;
const titles = {
  reports: 'Reports',
  users: 'Users',
  subscriptions: 'Subscriptions',
  keys: 'Server keys',
  status: 'Server',
} as const;
const components = {
  reports: ReportsView,
  users: UsersView,
  subscriptions: SubscriptionsView,
  keys: KeysView,
  status: StatusView,
} as const;
/** The views of a moderator. Admins see all. */
const moderated = ['reports', 'users'] as const;

/** The sign-in form, or the page of the signed-in moderator or admin. */
const AdminApp = () => (
  <Gate
    title="Parley administration"
    purpose="Administration. You need the role moderator or admin."
    needs="moderator"
    closed={(closed) => <MissingRole {...closed} />}
    open={(visitor) => <AdminPage visitor={visitor} />}
  />
);

function MissingRole({ signOut }: Closed) {
  return (
    <main class="alone panel">
      <h1>This page is for moderators and admins.</h1>
      <div class="row">
        <a class="button" href={`/${location.search}`}>
          Go to the chat
        </a>
        <button class="button" type="button" onClick={signOut}>
          Sign out
        </button>
      </div>
    </main>
  );
}

function AdminPage({ visitor }: { readonly visitor: Visitor }) {
  const users = useMemo(() => new UserCache(visitor.api), [visitor.api]);
  const allowed = visitor.roles.includes('admin') ? views : moderated;
  const { view, query } = useRoute<(typeof views)[number]>([...allowed]);
  useEffect(() => {
    document.title = `${titles[view]} · Parley administration`;
  }, [view]);
  const OpenView = components[view];
  return (
    <VisitorContext.Provider value={visitor}>
      <UsersContext.Provider value={users}>
        <ConsoleFrame
          name="administration"
          path="/admin"
          {...{ visitor, view }}
          titles={allowed.map((each) => [each, titles[each]])}
        >
          <OpenView key={view} query={query} />
        </ConsoleFrame>
      </UsersContext.Provider>
    </VisitorContext.Provider>
  );
}

applyTheme();
const root = document.getElementById('app');
if (root) render(<AdminApp />, root);
