import type { Message, User } from '@parley/client';
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Role, Visitor } from '../console/Gate.js';

/** A user as admins see them. Moderators know only the user. */
export interface Administered {
  readonly user: User;
  readonly isOnline?: boolean;
  readonly lastSeen?: string | null;
  /** Of a user who was never connected: the newest sign-in or message that is known. */
  readonly lastActive?: string;
  /** The number of open sessions. */
  readonly sessions?: number;
  readonly roles?: readonly Role[];
}

/** What moderators have decided about a report. */
export interface ReportDecided {
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

/** The room of a report, as its reporter sees it. */
export interface ReportedRoom {
  readonly roomId: string;
  readonly roomType: 'PRIVATE' | 'GROUP';
  /** Of a group; null when it is erased. */
  readonly name?: string | null;
  readonly members?: number;
  /** Of a private chat. */
  readonly memberIds?: readonly string[];
}

/** A report with the messages around it. */
export interface ReportInContext {
  readonly report: Report;
  /** Absent if the reporter sees no room any more. */
  readonly room?: ReportedRoom;
  /** The texts at the time of the report, of the reported messages that were edited since. */
  readonly editedSince: readonly { readonly messageId: string; readonly message: string | null }[];
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
