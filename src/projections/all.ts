import type { Opener } from '../vault/opener.js';
import { chatsProjection } from './chats/model.js';
import { friendshipsProjection } from './friendships/model.js';
import { messagesProjection } from './messages/model.js';
import { presenceProjection } from './presence/model.js';
import type { AnyProjection } from './projection.js';
import { rolesProjection } from './roles/model.js';
import { statesProjection } from './states/model.js';
import { streamsProjection } from './streams/model.js';
import { tableOf } from './tables.js';
import { tilesProjection } from './tiles/model.js';
import { usersProjection } from './users/model.js';

/** Every projection there is; `names` opens what the search for users needs. */
export function allProjections(names: Pick<Opener, 'usernames'>): readonly AnyProjection[] {
  return [
    statesProjection,
    usersProjection(names),
    friendshipsProjection,
    chatsProjection,
    messagesProjection,
    presenceProjection,
    rolesProjection,
    tilesProjection,
    streamsProjection,
  ];
}

const nameless = allProjections({ usernames: async () => [] });

/** Of the models, by which an operator names them. */
export const projectionNames: readonly string[] = nameless.map(({ model }) => model.name);

/** The tables into which these fold where none was built anew: by their names, nodes tell how far they are. */
export const foldedTables: readonly string[] = nameless.map(({ model }) => tableOf(model));
