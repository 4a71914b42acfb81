import { knownTypes } from '../domain/codec.js';
import type { TextOpener } from '../vault/textOpener.js';
import { chatsProjection } from './models/chats.js';
import { friendshipsProjection } from './models/friendships.js';
import { tilesProjection } from './models/merkleTiles.js';
import { messagesProjection } from './models/messages.js';
import { presenceProjection } from './models/presenceModel.js';
import { rolesProjection } from './models/roles.js';
import { streamsProjection } from './models/streamIndex.js';
import { statesProjection } from './models/streamStates.js';
import { usersProjection } from './models/users.js';
import type { AnyProjection } from './projection.js';
import { tableOf } from './store/rowStore.js';

/** Every projection there is; `names` opens what the search for users needs. */
export function allProjections(names: Pick<TextOpener, 'usernames'>): readonly AnyProjection[] {
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

/** What this version says of itself to nodes of others: the types of events that it can read, the tables that it folds. */
export const capabilities: readonly string[] = [...knownTypes, ...foldedTables];
