import type { Chat, User } from '../domain/userMessageChat.js';

/**
 * Requests and pushes of the contract that the declarations of the server do not have yet. A name leaves this file when
 * it is declared.
 */

export interface PreferencesToCome {
  readonly whoWrites: 'everyone' | 'contacts';
  readonly whoInvites: 'everyone' | 'contacts' | 'nobody';
  readonly findable: boolean;
  readonly visible: boolean;
  readonly receipts: boolean;
}

interface Done {
  readonly revision: string;
}
interface Page {
  readonly limit?: number;
  readonly next?: string;
}

export interface RequestsToCome {
  'change chat': {
    input: {
      readonly roomId: string;
      readonly mutedUntil?: string | null;
      readonly pinned?: boolean;
      readonly archived?: boolean;
    };
    answer: Done & { readonly chat: Chat };
  };
  'accept chat': { input: { readonly roomId: string }; answer: Done };
  'remove friend': { input: { readonly friendId: string }; answer: Done };
  'block user': { input: { readonly userId: string; readonly block: boolean }; answer: Done };
  'get blocked': { input: Page; answer: { readonly users: User[]; readonly next?: string } };
  'get preferences': { input: object; answer: { readonly preferences: PreferencesToCome } };
  'change preferences': {
    input: Partial<PreferencesToCome>;
    answer: Done & { readonly preferences: PreferencesToCome };
  };
}

export interface PushesToCome {
  'change chat': { readonly chat: Chat };
  'accept chat': { readonly roomId: string };
  'remove friend': { readonly userId: string };
  'block user': { readonly userId: string; readonly block: boolean };
  'change preferences': { readonly preferences: PreferencesToCome };
  'change user': { readonly user: User };
}
