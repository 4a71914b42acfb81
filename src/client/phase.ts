import type { Link } from './link.js';
import type { ClientState, User } from './types.js';

/** What a client is doing, with what only that needs: a link that is not there cannot be used. */
export type Phase =
  | { readonly state: 'new' }
  | { readonly state: 'connecting'; readonly link: Link }
  | { readonly state: 'replaying'; readonly link: Link; readonly user: User }
  | { readonly state: 'live'; readonly link: Link; readonly user: User; readonly resumed: boolean }
  | {
      readonly state: 'waiting';
      readonly delayMs: number;
      readonly code: number;
      readonly reason: string;
      readonly cancel: () => void;
    }
  | { readonly state: 'ended'; readonly why: 'closed' | 'signed_out' };

/** What is shown of it. */
export function shown(phase: Phase): ClientState {
  switch (phase.state) {
    case 'new':
    case 'ended':
      return phase;
    case 'connecting':
      return { state: 'connecting' };
    case 'replaying':
      return { state: 'replaying', user: phase.user };
    case 'live':
      return { state: 'live', user: phase.user, resumed: phase.resumed };
    case 'waiting':
      return { state: 'waiting', delayMs: phase.delayMs, code: phase.code, reason: phase.reason };
  }
}
