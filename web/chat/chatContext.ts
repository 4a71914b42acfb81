import type { ReportInput, Snapshot, Store, User } from '@parley/client';
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Session } from '../ui/session.js';

/** A question before something that cannot be undone with one click. */
export interface Question {
  readonly title: string;
  readonly text: string;
  /** The button's text. */
  readonly action: string;
  /** May reject with a `ClientError`, which the dialog shows. */
  readonly run: () => Promise<unknown>;
  /** What follows its success. Default: the view before. */
  readonly onDone?: () => void;
}

/** What the dialog shows. */
export type DialogView =
  | { readonly name: 'account' | 'myProfile' | 'friends' | 'blocked' | 'privacy' | 'newGroup' }
  | { readonly name: 'profile'; readonly user: User }
  | { readonly name: 'report'; readonly about: Omit<ReportInput, 'category' | 'note'>; readonly who: string }
  | { readonly name: 'group' | 'groupSettings' | 'addMembers'; readonly roomId: string }
  | { readonly name: 'question'; readonly question: Question };

/** The dialog of the page: one at a time. A view that is opened inside of it leads back to the one before. */
export interface Dialogs {
  readonly open: (view: DialogView) => void;
  readonly back: () => void;
  readonly close: () => void;
}

/** What all parts of the chat share. */
export interface ChatPageContext {
  readonly store: Store;
  readonly session: Session;
  readonly snapshot: Snapshot;
  readonly me: User;
  readonly dialogs: Dialogs;
  /** Shows a room; `undefined` shows the list. */
  readonly openRoom: (roomId: string | undefined) => void;
}

export const ChatPageContext = createContext<ChatPageContext | undefined>(undefined);

/** The parts that the page around this component shares. Throws outside of the page. */
export function useChatPage(): ChatPageContext {
  const context = useContext(ChatPageContext);
  if (!context) throw new Error('there is no chat page around this component');
  return context;
}
