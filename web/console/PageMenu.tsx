import { Icon } from '../ui/icons.js';
import { DarkThemeToggle } from '../ui/theme.js';
import type { Role, Visitor } from './Gate.js';

/** The pages of a server by their paths. */
type Path = '/' | '/admin' | '/audit' | '/docs';

/** `needs`: the role without which a page shows nothing. */
const pages: readonly { readonly path: Path; readonly name: string; readonly needs?: Role }[] = [
  { path: '/', name: 'Chat' },
  { path: '/admin', name: 'Administration', needs: 'moderator' },
  { path: '/audit', name: 'Audit console', needs: 'auditor' },
  { path: '/docs', name: 'Documentation' },
];

interface Props {
  readonly visitor: Visitor;
  readonly current: Path;
}

/** The user's menu: links to the other pages that the user may open, the theme, and the way out. */
export function PageMenu({ visitor: { user, roles, signOut }, current }: Props) {
  const others = pages.filter(
    ({ path, needs }) => path !== current && (needs === undefined || roles.includes(needs)),
  );
  return (
    <>
      <button
        class="button menu-button"
        type="button"
        popovertarget="menu"
        aria-label={`Menu of ${user.username}`}
      >
        <span>{user.username}</span>
        <Icon name="menu" />
      </button>
      <div id="menu" class="menu" popover="auto">
        <nav aria-label="Pages">
          <ul>
            {others.map(({ path, name }) => (
              <li key={path}>
                <a href={path + location.search}>{name}</a>
              </li>
            ))}
          </ul>
        </nav>
        <div class="row">
          <DarkThemeToggle />
          <button class="button" type="button" onClick={signOut}>
            Sign out
          </button>
        </div>
      </div>
    </>
  );
}
