import * as auditReads from './auditReads.js';
import * as chats from './chats.js';
import type { Topic } from './defineEvent.js';
import * as erasure from './erasure.js';
import * as groupEvents from './groups/groupEvents.js';
import * as groups from './groups/groups.js';
import * as hostGroups from './groups/hostGroups.js';
import * as groupMembers from './groups/members.js';
import * as history from './history.js';
import * as hostKeys from './hostKeys.js';
import * as edits from './messages/edits.js';
import * as messages from './messages/messages.js';
import * as pins from './messages/pins.js';
import * as reactions from './messages/reactions.js';
import * as removals from './messages/removals.js';
import * as reports from './moderation/reports.js';
import * as onlineStatus from './onlineStatus.js';
import * as readMarks from './readMarks.js';
import * as roles from './roles.js';
import * as safety from './safety.js';
import * as subscriptions from './subscriptions.js';
import * as users from './users.js';

/**
 * All features, in the order of the documents. Whatever a feature's file exports as a declaration is part of the
 * system: an event, a command, a request or a push needs no other registration.
 */
const features = [
  ...([users, safety, chats, groups, groupMembers, hostGroups, groupEvents] as const),
  ...([messages, removals, edits, reactions, pins, readMarks] as const),
  ...([onlineStatus, erasure, reports, roles, auditReads, history, hostKeys, subscriptions] as const),
] as const satisfies readonly { readonly topic: Topic }[];

type ExportsOf<Feature> = Feature extends unknown ? Feature[keyof Feature] : never;
type Exports = ExportsOf<(typeof features)[number]>;

export type EventDeclared = Extract<Exports, { declares: 'event' }>;
export type CommandDeclared = Extract<Exports, { declares: 'command' }>;
export type PushDeclared = Extract<Exports, { declares: 'push' }>;
export type RequestDeclared =
  | Extract<Exports, { declares: 'request' }>
  | Extract<Exports, { request: unknown }>['request'];

const declared: readonly { readonly declares: string }[] = features.flatMap((feature) =>
  Object.values(feature).filter(isDeclaration),
);

function isDeclaration(value: unknown): value is { readonly declares: string } {
  return typeof value === 'object' && value !== null && 'declares' in value;
}

// Each exported declaration of a kind has one of the types of `D`, because `Exports` lists all of them.
const declaredAs = <D extends { readonly declares: string }>(kind: D['declares']): readonly D[] =>
  declared.filter(({ declares }) => declares === kind) as unknown as readonly D[];

export const declaredEvents = declaredAs<EventDeclared>('event');
/** What each type of event is about: the topic of the feature that declares it. */
export const eventTopics: ReadonlyMap<string, Topic> = new Map(
  features.flatMap(({ topic, ...feature }) =>
    Object.values(feature)
      .filter(isDeclaration)
      .flatMap((one) => (one.declares === 'event' && 'type' in one ? [[String(one.type), topic]] : [])),
  ),
);
export const declaredCommands = declaredAs<CommandDeclared>('command');
export const declaredPushes = declaredAs<PushDeclared>('push');
export const declaredRequests: readonly RequestDeclared[] = declared.flatMap((declaration) => {
  if ('request' in declaration) return [declaration.request as RequestDeclared]; // A client's command has one.
  return declaration.declares === 'request' ? [declaration as RequestDeclared] : [];
});
