import { z } from 'zod';
import type { ContactRule, Decision, Facts, Wants } from './defineCommand.js';
import type { StreamDeclaration, Tie } from './defineEvent.js';
import type { State } from './events.js';
import { type CommandDeclared, declaredCommands } from './features.js';
import type { Actor, KeyId, StreamName } from './ids.js';

/** Derived from the declared commands: their types, and how each is decided, routed and sent to another node. */

export type CommandKind = CommandDeclared['kind'];
/** A command to a writer. The actor comes from the session, never from a payload. */
export type Command = {
  [C in CommandDeclared as C['kind']]: Parameters<C['decide']>[0];
}[CommandKind];
export type CommandOf<K extends CommandKind> = Extract<Command, { readonly kind: K }>;

/** The answer of each command, without the moment of the log from which on it is true. */
export type Answers = {
  [C in CommandDeclared as C['kind']]: Extract<ReturnType<C['decide']>, { answer: unknown }>['answer'];
};

/** A moment of the log: the tree size of a partition. It includes the events at offsets below `size`. */
export interface Moment {
  readonly partition: number;
  readonly size: number;
}

export type Answer<K extends CommandKind> = Answers[K] & { readonly moment: Moment };

/**
 * Brings a command to the writer of its stream's partition. Resolves when its events are durable, after
 * the commit has been published on the bus. Commands on one stream take effect in the order of the calls.
 * The caller's `commandId` (a UUID) is in the command's events, so that a gateway recognises its own.
 * Rejects with a `ParleyError`: refused, `overloaded` (nothing was done) or `unknown` (it may have happened).
 */
export interface CommandRouter {
  execute<K extends CommandKind>(command: CommandOf<K>, commandId: string): Promise<Answer<K>>;
}

/** The same router for commands that come through a server key. */
export const routerVia = (router: CommandRouter, via: KeyId): CommandRouter => ({
  // A command with an origin is one of its kind.
  execute: (command, commandId) => router.execute({ ...command, via } as typeof command, commandId),
});

/** Takes commands for the partitions of this node; `epoch` is that of the lease they are addressed to. */
export interface OwnWriters {
  /** See `CommandRouter.execute`. Rejects with `NotOwner`, nothing done, when the partition is not owned by that lease. */
  submit<K extends CommandKind>(command: CommandOf<K>, commandId: string, epoch: number): Promise<Answer<K>>;
}

/** A declaration as it is used for a command of any kind. */
export interface AnyCommand {
  readonly kind: CommandKind;
  readonly stream: StreamDeclaration<State>;
  readonly fields: z.ZodRawShape;
  readonly actor: string;
  readonly streamId: (command: Command) => string;
  readonly wants?: (command: Command, state?: State, rule?: ContactRule) => Wants;
  readonly text?: string;
  readonly decide: (command: Command, state: State, facts: Facts) => Decision<Answers[CommandKind]>;
  readonly isRepeatable?: (command: Command) => boolean;
  readonly tie?: (command: Command, answer: Answers[CommandKind]) => Tie | undefined;
  readonly asksHost?: true;
  readonly reply?: (command: Command, answer: Answers[CommandKind], revision: string) => unknown;
}

// A declaration is given only commands of its own kind, and states of its own kind of stream.
const declarations = new Map(
  declaredCommands.map((command) => [command.kind as string, command as unknown as AnyCommand]),
);

/** The declaration of a kind of command. Throws for one that is not declared. */
export function commandDeclaration(kind: CommandKind): AnyCommand {
  const declaration = declarations.get(kind);
  if (!declaration) throw new Error(`no command ${kind} is declared`);
  return declaration;
}

/** Decides a command against the state of its stream. Pure. */
export function decideCommand<K extends CommandKind>(
  command: CommandOf<K>,
  state: State,
  facts: Facts,
): Decision<Answers[K]> {
  // A declaration's answer has the type of its own kind of command.
  return commandDeclaration(command.kind).decide(command, state, facts) as Decision<Answers[K]>;
}

/** What follows from a command by its declaration. */
export interface CommandDescription {
  readonly declaration: AnyCommand;
  /** The stream that it is decided against. */
  readonly stream: StreamName;
  readonly actor: Actor;
  readonly via: KeyId | undefined;
  /** The estimated bytes in memory while it waits. */
  readonly bytes: number;
}

/** The estimated bytes of a waiting command without its text. */
const FIXED_BYTES = 1024;

/** Describes a command, once on its way. */
export function describeCommand(command: Command): CommandDescription {
  const declaration = commandDeclaration(command.kind);
  const { actor, text, stream, streamId } = declaration;
  // A declaration names only fields that are strings.
  const fields = command as object as Readonly<Record<string, string>>;
  return {
    declaration,
    stream: `${stream.kind}:${streamId(command)}`,
    actor: actor === 'system' ? actor : (fields[actor] ?? ''),
    via: command.via,
    bytes: FIXED_BYTES + 2 * (text === undefined ? 0 : (fields[text] ?? '').length),
  };
}

const [first, ...rest] = declaredCommands.map(({ kind, fields }) =>
  z.object({ kind: z.literal(kind), ...fields, via: z.string().exactOptional() }),
);
if (!first) throw new Error('no command is declared');

/** A command that another node sends: a JSON value. Fields that this version does not know are left out. */
export const ForwardedCommand = z.discriminatedUnion('kind', [first, ...rest]);
