import { assertNever } from '../../../src/base/errors.js';
import { formatList } from '../../ui/format.js';
import { text } from '../../ui/texts.js';
import type { ShownHappening } from './happenings.js';
import { nameOf, type Talk } from './talk.js';

interface Props {
  readonly talk: Talk;
  readonly happenings: readonly ShownHappening[];
}

/** Lines of who came and went, and of what was changed in a group. */
export function HappeningLines({ talk, happenings }: Props) {
  return runsOf(leavingFirst(happenings))
    .flatMap((run) => linesOf(talk, run))
    .map((line, i) => (
      <p key={i} class="happening">
        {line}
      </p>
    ));
}

/** The log has the next owner before the last one leaves, as no group is without one; readers are told why first. */
function leavingFirst(happenings: readonly ShownHappening[]): readonly ShownHappening[] {
  const inOrder = [...happenings];
  happenings.forEach((one, i) => {
    const next = happenings[i + 1];
    if (one.kind === 'role' && one.inherited && next?.kind === 'left') inOrder.splice(i, 2, next, one);
  });
  return inOrder;
}

type Adding = Extract<ShownHappening, { readonly kind: 'joined' }>;

const isAdding = (one: ShownHappening): one is Adding => one.kind === 'joined' && one.by !== one.userId;

/** Those whom one person added in a row are together; every other happening is alone. */
function runsOf(happenings: readonly ShownHappening[]): readonly (readonly ShownHappening[])[] {
  const runs: ShownHappening[][] = [];
  for (const one of happenings) {
    const run = runs.at(-1);
    const before = run?.[0];
    // Who makes a group is its first member.
    if (before?.kind === 'created' && one.kind === 'joined' && !isAdding(one)) continue;
    if (run && before && isAdding(before) && isAdding(one) && before.by === one.by) run.push(one);
    else runs.push([one]);
  }
  return runs;
}

/** One line, or two where this user is among those who were added. */
function linesOf(talk: Talk, run: readonly ShownHappening[]): readonly string[] {
  const myId = talk.viewer.me.userId;
  const isMe = (one: ShownHappening): boolean => isAdding(one) && one.userId === myId;
  const others = run.filter((one) => !isMe(one));
  const lines = run.filter(isMe).map((one) => lineOf(talk, one));
  const [first] = others;
  if (first) lines.push(others.length === 1 ? lineOf(talk, first) : addedLine(talk, others.filter(isAdding)));
  return lines;
}

/** The names that a line has, and then the number of the others; of one more the name. */
const SHOWN_NAMES = 3;

function addedLine(talk: Talk, added: readonly Adding[]): string {
  const count = added.length > SHOWN_NAMES + 1 ? added.length - SHOWN_NAMES : 0;
  const names = added.slice(0, added.length - count).map(({ userId }) => nameOf(talk, userId));
  if (count > 0) names.push(text('messages.moreAdded', { count }));
  const by = added[0]?.by ?? '';
  return text('messages.addedSeveral', { ...actorOf(talk, by), names: formatList(names) });
}

/** Whether this user did it, or it was done to them: `me`, else `other`. */
const who = (talk: Talk, userId: string): 'me' | 'other' =>
  userId === talk.viewer.me.userId ? 'me' : 'other';

const actorOf = (talk: Talk, by: string) => ({ by: nameOf(talk, by), who: who(talk, by) });

function lineOf(talk: Talk, happening: ShownHappening): string {
  const { by, kind } = happening;
  const actor = actorOf(talk, by);
  if (kind === 'created') return text('messages.groupCreated', actor);
  if (kind === 'changed')
    return happening.name === undefined || happening.name === null
      ? text('messages.groupChanged', actor)
      : text('messages.groupRenamed', { ...actor, name: happening.name });
  const { userId } = happening;
  const values = { ...actor, name: nameOf(talk, userId), whom: who(talk, userId) };
  const isSelf = by === userId;
  switch (kind) {
    case 'joined':
      return text(isSelf ? 'messages.joined' : 'messages.added', values);
    case 'left':
      return text(isSelf ? 'messages.left' : 'messages.removed', values);
    case 'role':
      return text(happening.inherited ? 'messages.ownerNow' : 'messages.roleChanged', {
        ...values,
        role: happening.role,
      });
    default:
      return assertNever(kind);
  }
}
