import type { RoomId, UserId } from '../events/ids.js';
import type { Sealed } from '../events/types.js';

/** What is needed to open one message's text. */
export interface SealedText {
  readonly senderId: UserId;
  readonly roomId: RoomId;
  readonly messageId: string;
  readonly text: Sealed;
}

/** What is needed to open one user's name. */
export interface SealedName {
  readonly userId: UserId;
  readonly username: Sealed;
}

/**
 * Opens what rows and frames hold sealed, many at once. The answer has one element for each asked, in their
 * order; `null`: its owner was erased. Throws on anything else: an outage must not read as an erasure.
 */
export interface Opener {
  messages(sealed: readonly SealedText[]): Promise<(string | null)[]>;
  usernames(sealed: readonly SealedName[]): Promise<(string | null)[]>;
}
