import type { Message, User } from '@parley/client';
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Role, Visitor } from '../console/Gate.js';

/** A user as admins see them. Moderators know only the user. */
export interface Administered {
  readonly user: User;
  readonly isOnline?: boolean;
  readonly lastSeen?: string | null;
  /** The number of open sessions. */
  readonly sessions?: number;
  readonly roles?: readonly Role[];
}

/** What moderators have decided about a report. */
interface ReportDecided {
  readonly by: string;
  readonly at: string;
  readonly decision: { readonly delete?: readonly string[]; readonly suspend?: true };
  readonly note: string | null;
}

export interface Report {
  readonly reportId: string;
  readonly reporterId: string;
  readonly reportedAt: string;
  readonly roomId?: string;
  readonly messageIds?: readonly string[];
  readonly userId?: string;
  readonly category: string;
  readonly note?: string | null;
  readonly decided?: ReportDecided;
  /** In lists: who wrote the first reported message, and how it begins; null if it was deleted. */
  readonly first?: { readonly senderId: string; readonly excerpt: string | null };
}

/** A report with the messages around it. */
export interface ReportInContext {
  readonly report: Report;
  readonly users: readonly User[];
  readonly messages: readonly Message[];
}

export const VisitorContext = createContext<Visitor | undefined>(undefined);

/** The moderator or admin who is signed in. */
export function useVisitor(): Visitor & { readonly isAdmin: boolean } {
  const visitor = useContext(VisitorContext);
  if (!visitor) throw new Error('useVisitor needs a VisitorContext around the component');
  return { ...visitor, isAdmin: visitor.roles.includes('admin') };
}
