import { z } from 'zod';
import { unauthenticated } from '../../base/errors.js';
import { command, type Decision, request } from '../defineCommand.js';
import { event, push } from '../defineEvent.js';
import { Id, Revision, Time } from '../fields.js';
import { unchanged, userStream } from '../streams.js';
import { Chat } from '../userMessageChat.js';

/** What each member sets of a chat for themselves: muted, pinned, archived. */

/** What a command changes. A `mutedUntil` of null ends the muting. */
const Changes = {
  mutedUntil: z.iso.datetime().nullable().exactOptional(),
  pinned: z.boolean().exactOptional(),
  archived: z.boolean().exactOptional(),
} as const;

const Settings = z.object({
  mutedUntil: Time.nullable(),
  pinned: z.boolean(),
  archived: z.boolean(),
});
type Settings = z.infer<typeof Settings>;

export const changeChatPush = push('change chat', {
  isStored: true,
  data: z.strictObject({ chat: Chat }),
  note: 'I have muted, pinned or archived a chat, or ended that, on another device.',
});

/** `seq`: the newest message that the user could see; a later one takes the chat out of the archive. */
export const ChatChanged = event('ChatChanged', userStream, {
  data: z.strictObject({
    userId: z.string(),
    roomId: z.string(),
    seq: z.int().min(0),
    mutedUntil: Time.nullable().exactOptional(),
    pinned: z.boolean().exactOptional(),
    archived: z.boolean().exactOptional(),
  }),
  push: ({ data: { userId, roomId } }) => [
    changeChatPush.of({
      to: [userId],
      chat: { roomId, userId },
      onlyNewest: chatSettingsKey(userId, roomId),
      data: (shown) => ({ chat: shown.chat(roomId, userId) }),
    }),
  ],
  line: ({ data: { userId, roomId, mutedUntil, pinned, archived } }, { who }) => {
    const changes = [
      ...(mutedUntil === undefined ? [] : [mutedUntil === null ? 'unmuted' : `muted until ${mutedUntil}`]),
      ...(pinned === undefined ? [] : [pinned ? 'pinned' : 'unpinned']),
      ...(archived === undefined ? [] : [archived ? 'archived' : 'not archived']),
    ];
    return `${who(userId)} set room ${roomId}: ${changes.join(', ')}`;
  },
});

/** Names what a user has set of a room. */
export const chatSettingsKey = (userId: string, roomId: string): string => `${userId}/${roomId}`;

/** `before`: the settings that the user sees; `seq` as in the event. The caller knows that the chat is the user's. */
export const changeChat = command('change chat', userStream, {
  fields: { actor: z.string(), roomId: z.string(), seq: z.int(), before: Settings, ...Changes },
  actor: 'actor',
  streamId: ({ actor }) => actor,
  decide(command, state): Decision<{ readonly changed: boolean }> {
    const { actor: userId, roomId, seq, before } = command;
    if (!state.registered || state.erased) return { refused: unauthenticated('this user has been erased') };
    const changes = changesOf(before, command);
    if (Object.keys(changes).length === 0) return unchanged;
    // An archived chat stays so when it is muted or unmuted: what was said meanwhile does not count.
    const kept = 'mutedUntil' in changes && before.archived ? { archived: true } : {};
    const changed = ChatChanged.of(userId, { userId, roomId, seq, ...kept, ...changes });
    return { events: [changed], answer: { changed: true } };
  },
});

type GivenChanges = { readonly [N in keyof Settings]?: Settings[N] };

/** The given settings that are not so already. */
function changesOf(before: Settings, { mutedUntil, pinned, archived }: GivenChanges): GivenChanges {
  const until = mutedUntil && new Date(mutedUntil).toISOString();
  return {
    ...(until === undefined || until === before.mutedUntil ? {} : { mutedUntil: until }),
    ...(pinned === undefined || pinned === before.pinned ? {} : { pinned }),
    ...(archived === undefined || archived === before.archived ? {} : { archived }),
  };
}

export const changeChatRequest = request('change chat', {
  data: z.strictObject({ roomId: Id, ...Changes }),
  answer: z.strictObject({ chat: Chat, revision: Revision }),
  note: 'For me alone. A new message takes a chat that is not muted out of the archive.',
});
