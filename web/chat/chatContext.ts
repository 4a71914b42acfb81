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
  | { readonly name: 'account' | 'changePassword' | 'deleteAccount' }
  | { readonly name: 'myProfile' | 'friends' | 'blocked' | 'privacy' | 'newGroup' }
  | { readonly name: 'profile'; readonly user: User }
  | {
      readonly name: 'report';
      readonly about: Omit<ReportInput, 'category' | 'note'>;
      readonly who: string;
      /** The text of the message that is reported. */
      readonly quote?: string;
    }
  | { readonly name: 'group' | 'groupSettings' | 'addMembers'; readonly roomId: string }
  | { readonly name: 'question'; readonly question: Question };

/** The dialog of the page: one at a time. A view that is opened inside of it leads back to the one before. */
export interface Dialogs {
  readonly open: (view: DialogView) => void;
  readonly back: () => void;
  readonly close: () => void;
}

/** A message of a room, by their ids. */
export interface MessageAddress {
  readonly roomId: string;
  readonly messageId: string;
}

/** What all parts of the chat can do. It stays the same object. */
export interface ChatActions {
  readonly store: Store;
  readonly session: Session;
  readonly dialogs: Dialogs;
  /** Shows a room; `undefined` shows the list. */
  readonly openRoom: (roomId: string | undefined) => void;
  /** Opens the room of a message, and leads to it; `undefined`: the room has done so. */
  readonly showMessage: (message: MessageAddress | undefined) => void;
}

/** What all parts of the chat can do and know. */
export interface ChatPageContext extends ChatActions {
  readonly snapshot: Snapshot;
  /** Whether the connection is lost: who is online is not known then. */
  readonly isLost: boolean;
  readonly me: User;
  /** The message that the user wants to see. */
  readonly wanted: MessageAddress | undefined;
}

export const ChatActionsContext = createContext<ChatActions | undefined>(undefined);
export const ChatPageContext = createContext<ChatPageContext | undefined>(undefined);

/** For parts that need not be drawn again at each change of the store. Throws outside of the page. */
export const useChatActions = (): ChatActions => present(useContext(ChatActionsContext));

/** For parts that show what the store knows. Throws outside of the page. */
export const useChatPage = (): ChatPageContext => present(useContext(ChatPageContext));

function present<T>(context: T | undefined): T {
  if (!context) throw new Error('there is no chat page around this component');
  return context;
}
