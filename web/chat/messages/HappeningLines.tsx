import type { Happening } from '@parley/client';
import { assertNever } from '../../../src/base/errors.js';
import { text } from '../../ui/texts.js';
import { nameOf, type Talk } from './talk.js';

interface Props {
  readonly talk: Talk;
  readonly happenings: readonly Happening[];
}

/** Lines of who came and went, and of what was changed in a group. */
export function HappeningLines({ talk, happenings }: Props) {
  return happenings.map((happening, i) => (
    <p key={i} class="happening">
      {lineOf(talk, happening)}
    </p>
  ));
}

/** Whether this user did it, or it was done to them: `me`, else `other`. */
const who = (talk: Talk, userId: string): 'me' | 'other' =>
  userId === talk.viewer.me.userId ? 'me' : 'other';

function lineOf(talk: Talk, happening: Happening): string {
  const { by, kind } = happening;
  const actor = { by: nameOf(talk, by), who: who(talk, by) };
  if (kind === 'changed')
    return happening.name === undefined
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
