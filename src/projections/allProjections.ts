import { knownTypes } from '../domain/codec.js';
import { chatsProjection } from './models/chatRows.js';
import { chatSettingsProjection } from './models/chatSettingRows.js';
import { preferencesProjection } from './models/contacts.js';
import { editsProjection, mentionsProjection } from './models/editsAndMentions.js';
import { groupsProjection } from './models/groupRows.js';
import { happeningsProjection } from './models/happeningRows.js';
import { membershipsProjection } from './models/membershipRows.js';
import { tilesProjection } from './models/merkleTiles.js';
import { messageIdsProjection } from './models/messageIdIndex.js';
import { messagesProjection } from './models/messageRows.js';
import { reportsProjection } from './models/reportRows.js';
import { statesProjection, streamsProjection } from './models/streamIndex.js';
import type { NameOpener } from './models/userNames.js';
import { presenceProjection, rolesProjection, usersProjection } from './models/userRows.js';
import type { AnyProjection } from './projection.js';
import { tableOf } from './store/rowStore.js';

/**
 * All projections; `names` opens the names that the index for searches needs. Worker threads load this module
 * by its URL.
 */
export function allProjections(names: NameOpener): readonly AnyProjection[] {
  return [
    statesProjection,
    usersProjection(names),
    chatsProjection,
    groupsProjection,
    membershipsProjection,
    happeningsProjection,
    messagesProjection,
    chatSettingsProjection,
    editsProjection,
    mentionsProjection,
    messageIdsProjection,
    presenceProjection,
    preferencesProjection,
    rolesProjection,
    reportsProjection,
    tilesProjection,
    streamsProjection,
  ];
}

const unopened = allProjections({ notes: async () => [] });

/** The names of the models, as an operator types them. */
export const projectionNames: readonly string[] = unopened.map(({ model }) => model.name);

/** The tables of generation 0. Nodes use these names to report their progress. */
export const foldedTables: readonly string[] = unopened.map(({ model }) => tableOf(model));

/**
 * What this version can do, for nodes of other versions: the event types it reads and the tables it folds.
 */
export const capabilities: readonly string[] = [...knownTypes, ...foldedTables];
