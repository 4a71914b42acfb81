import type { Message } from '../types.js';

/**
 * Both together, ascending by `seq`, each once; what is erased stays so, whichever of the two says
 * it. Answers, pushes and pages may come in any order and overlap: the outcome is the same, and it
 * is `known` itself when there is nothing new.
 */
export function joined(known: readonly Message[], more: readonly Message[]): readonly Message[] {
  const [first] = more;
  if (first === undefined) return known;
  const last = known.at(-1);
  // Nearly always: one more at the end.
  if (more.length === 1 && (last === undefined || last.seq < first.seq)) return [...known, first];
  const bySeq = new Map(known.map((message) => [message.seq, message]));
  let isNew = false;
  for (const message of more) {
    const before = bySeq.get(message.seq);
    if (before !== undefined && (before.erased === true || message.erased !== true)) continue;
    bySeq.set(message.seq, message);
    isNew = true;
  }
  return isNew ? [...bySeq.values()].sort((a, b) => a.seq - b.seq) : known;
}

/** The newest messages as far back as there is no gap. */
export function unbroken(known: readonly Message[]): readonly Message[] {
  let start = known.length;
  let seq: number | undefined;
  for (let i = known.length - 1; i >= 0; i--) {
    const message = known[i];
    if (message === undefined || (seq !== undefined && message.seq !== seq - 1)) break;
    seq = message.seq;
    start = i;
  }
  return start === 0 ? known : known.slice(start);
}

/** The message as it is left when its sender has been erased. */
export function wiped(message: Message): Message {
  return message.erased === true ? message : { ...message, message: null, erased: true };
}
