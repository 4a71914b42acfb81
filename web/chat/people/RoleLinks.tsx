import { useEffect, useState } from 'preact/hooks';
import { type Session, tokenOf } from '../../ui/session.js';
import { text } from '../../ui/texts.js';

/** The pages for users with a role, by the role. */
const pages = [
  ['moderator', '/admin', 'account.admin'],
  ['auditor', '/audit', 'account.audit'],
] as const;

/** Links to the pages that the user's roles open, and to the documentation. Most users have no role, and see nothing. */
export function RoleLinks({ session }: { readonly session: Session }) {
  const [roles, setRoles] = useState<readonly string[]>([]);
  useEffect(() => {
    void readRoles(tokenOf(session)).then(setRoles);
  }, [session]);
  if (roles.length === 0) return null;
  const link = (path: string, label: string) => (
    <a key={path} class="button" href={path + location.search}>
      {label}
    </a>
  );
  return (
    <>
      {pages.map(([role, path, name]) => (roles.includes(role) ? link(path, text(name)) : null))}
      {link('/docs', text('account.docs'))}
    </>
  );
}

/** The user's roles; none if they cannot be had. */
async function readRoles(token: string): Promise<readonly string[]> {
  try {
    const response = await fetch('/user/me/roles', { headers: { authorization: `Bearer ${token}` } });
    if (!response.ok) return [];
    // The server's answer, as its document says.
    return ((await response.json()) as { roles: readonly string[] }).roles;
  } catch {
    return [];
  }
}
