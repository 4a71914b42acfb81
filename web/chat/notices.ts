import { ClientError, type OutboxEntry } from '@parley/client';
import { assertNever } from '../../src/base/errors.js';
import { text } from '../ui/texts.js';
import { failureText } from './people/failureText.js';

/** What the page tells the user of something that has failed, was done, or has happened. All parts of the chat use it. */
export interface Notice {
  /** A failure stays until the user closes it; the others go after some seconds. */
  readonly kind: 'failed' | 'told';
  readonly text: string;
  /** The message that it is about. */
  readonly message?: { readonly roomId: string; readonly messageId: string };
  /** What the user had written. */
  readonly quote?: string;
}

/** More at once would cover the page: the oldest go. */
const MOST_NOTICES = 3;

let shown: readonly Notice[] = [];
const listeners = new Set<() => void>();
/** An error of the outbox reaches the page twice: by its entry, and by the part that has asked. */
const toldErrors = new WeakSet<object>();

function show(next: readonly Notice[]): void {
  shown = next.slice(-MOST_NOTICES);
  for (const listener of listeners) listener();
}

/** The notices of now, the oldest first. */
export const notices = {
  get: (): readonly Notice[] => shown,
  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

/** Shows a notice. One with the same text takes the place of the one before. */
export const tell = (notice: Notice): void =>
  show([...shown.filter((one) => one.text !== notice.text), notice]);

export const closeNotice = (notice: Notice): void => show(shown.filter((one) => one !== notice));

/** Whether nobody has told the user of this error, and there is a user to be told: the page ends with its session. */
function isNews(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return true;
  if (error instanceof ClientError && (error.code === 'closed' || error.code === 'signed_out')) return false;
  if (toldErrors.has(error)) return false;
  toldErrors.add(error);
  return true;
}

/** Tells why an action has failed. It is named as on its button. */
function tellFailure(action: string, error: unknown): void {
  if (isNews(error))
    tell({ kind: 'failed', text: text('notice.failed', { action, why: failureText(error) }) });
}

/** Tells the user if the action fails. */
export const attempt = (action: string, change: Promise<unknown>): void =>
  void change.catch((error: unknown) => tellFailure(action, error));

/** Tells of a change that the server has refused, perhaps one of an earlier run of the page. */
export function tellRefused(entry: OutboxEntry, error: ClientError): void {
  if (entry.request === 'send message' || !isNews(error)) return;
  const { roomId, messageId } = entry.data;
  tell({
    ...{ kind: 'failed', text: refusedText(entry, failureText(error)), message: { roomId, messageId } },
    // The text of an edit is nowhere else any more.
    ...(entry.request === 'edit message' && { quote: entry.data.message }),
  });
}

function refusedText(entry: Exclude<OutboxEntry, { request: 'send message' }>, why: string): string {
  switch (entry.request) {
    case 'edit message':
      return text('notice.editRefused', { why });
    case 'delete message':
      return text('notice.deleteRefused', { why });
    case 'react':
      return text('notice.reactRefused', { emoji: entry.data.emoji, why });
    default:
      return assertNever(entry);
  }
}
