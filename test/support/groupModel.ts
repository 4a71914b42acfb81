import type { Message } from '../../packages/client/src/types.js';

/**
 * Who may see what of some groups, as the contract says it: a model in memory, with which a running system is compared.
 * Its steps are given in the order in which the system took them.
 */

export type Role = 'owner' | 'admin' | 'member';
export type History = 'joined' | 'all';

interface Member {
  role: Role;
  /** The place of the newest joining among all joinings of the group. */
  order: number;
  /** The `seq` from and to which they see messages. */
  windows: [number, number | null][];
  /** The step at which they joined last. */
  joinedAt: number;
  /** The step at which they left; undefined while they are a member. */
  leftAt: number | undefined;
}

/** A message of a group. */
export interface Said {
  readonly seq: number;
  readonly messageId: string;
  readonly senderId: string;
  /** The members at its place. */
  readonly audience: ReadonlySet<string>;
  /** The texts, and the step at which each was written. */
  readonly texts: { readonly text: string; readonly step: number }[];
  /** Each as an emoji and the user who has reacted with it. */
  readonly reactions: Set<string>;
  deletedBy: string | undefined;
}

/** A message as somebody sees it: without text when it was deleted. */
export interface Seen {
  readonly seq: number;
  readonly text: string | null;
  /** The number of the text's edit; 0 for the first text. */
  readonly rev: number;
  /** Each as an emoji and the user who has reacted with it, in the order of these texts. */
  readonly reactions: readonly string[];
  readonly deletedBy?: string | undefined;
}

/** A message that was deleted. */
export const seenDeleted = (seq: number, deletedBy: string): Seen => ({
  ...{ seq, text: null, rev: 0, reactions: [], deletedBy },
});

/** A message of a group as a client got it. */
export const seenMessage = ({ seq, message, rev = 0, reactions = [], deleted }: Message): Seen => ({
  ...{ seq, text: message, rev },
  reactions: reactions.flatMap(({ emoji, userIds }) => userIds.map((user) => reactionOf(emoji, user))).sort(),
  deletedBy: deleted?.by,
});

/** A user's reaction as `Seen` has it. */
export const reactionOf = (emoji: string, user: string): string => `${emoji} ${user}`;

/** A message as a text, for comparing. Without reactions for users who have left: what they see of these is not said. */
export const sayMessage = ({ seq, text, rev, reactions, deletedBy }: Seen, isMember: boolean): string =>
  `${seq}: ${text}, rev ${rev}, deleted by ${deletedBy}${isMember ? `, ${reactions.join(' + ')}` : ''}`;

/** One group. */
export class GroupModel {
  readonly said: Said[] = [];
  readonly #members = new Map<string, Member>();
  #joinings = 0;
  #step = 0;

  constructor(
    readonly roomId: string,
    readonly history: History,
    owner: string,
    others: readonly string[],
  ) {
    this.join([owner, ...others]);
    this.setRole(owner, 'owner');
  }

  get newest(): number {
    return this.said.length;
  }

  get members(): string[] {
    return [...this.#members].filter(([, { leftAt }]) => leftAt === undefined).map(([user]) => user);
  }

  roleOf(user: string): Role | undefined {
    const member = this.#members.get(user);
    return member?.leftAt === undefined ? member?.role : undefined;
  }

  wasEverIn(user: string): boolean {
    return this.#members.has(user);
  }

  join(users: readonly string[]): void {
    this.#step++;
    for (const user of users) {
      const from = this.history === 'all' ? 1 : this.newest + 1;
      const known = this.#members.get(user);
      if (known && known.leftAt === undefined) continue;
      const windows = [...(known?.windows ?? []), [from, null] as [number, null]];
      const order = ++this.#joinings;
      this.#members.set(user, { role: 'member', order, windows, joinedAt: this.#step, leftAt: undefined });
    }
  }

  leave(user: string): void {
    this.#step++;
    const member = this.#members.get(user);
    if (!member) throw new Error(`${user} is no member`);
    member.leftAt = this.#step;
    const [from] = member.windows.pop() ?? [1];
    // A window in which nothing was said is dropped.
    if (this.newest >= from) member.windows.push([from, this.newest]);
    this.#succeed();
  }

  /** There is always an owner: else the oldest admin, else the oldest member. */
  #succeed(): void {
    const left = this.members.map((user) => this.#members.get(user)).filter((member) => member !== undefined);
    if (left.some(({ role }) => role === 'owner')) return;
    left.sort((a, b) => a.order - b.order);
    const next = left.find(({ role }) => role === 'admin') ?? left[0];
    if (next) next.role = 'owner';
  }

  setRole(user: string, role: Role): void {
    this.#step++;
    const member = this.#members.get(user);
    if (member) member.role = role;
  }

  /** Whether it would leave the group without an owner. */
  isLastOwner(user: string): boolean {
    return (
      this.roleOf(user) === 'owner' && this.members.filter((one) => this.roleOf(one) === 'owner').length === 1
    );
  }

  send(senderId: string, messageId: string, text: string): Said {
    this.#step++;
    const said: Said = {
      ...{ seq: this.newest + 1, messageId, senderId, audience: new Set(this.members) },
      texts: [{ text, step: this.#step }],
      reactions: new Set(),
      deletedBy: undefined,
    };
    this.said.push(said);
    return said;
  }

  edit(seq: number, text: string): void {
    this.at(seq).texts.push({ text, step: ++this.#step });
  }

  delete(seq: number, by: string): void {
    this.#step++;
    const said = this.at(seq);
    said.deletedBy = by;
    said.reactions.clear();
  }

  react(seq: number, user: string, { emoji, on }: { readonly emoji: string; readonly on: boolean }): void {
    const { reactions } = this.at(seq);
    if (on) reactions.add(reactionOf(emoji, user));
    else reactions.delete(reactionOf(emoji, user));
  }

  at(seq: number): Said {
    const said = this.said[seq - 1];
    if (!said) throw new Error(`there is no message ${seq}`);
    return said;
  }

  /** Whether somebody who is a member now sees the message. */
  canSee(user: string, seq: number): boolean {
    const member = this.#members.get(user);
    return member?.leftAt === undefined && this.#isIn(member?.windows ?? [], seq);
  }

  /** Whether the message lies in a window of somebody who is or was a member. */
  mayKnow(user: string, seq: number): boolean {
    return this.#isIn(this.#members.get(user)?.windows ?? [], seq);
  }

  #isIn(windows: Member['windows'], seq: number): boolean {
    return windows.some(([from, to]) => seq >= from && (to === null || seq <= to));
  }

  /** Whether somebody is a member and has not left since the message: who was away fetches what changed meanwhile. */
  isInSince(user: string, seq: number): boolean {
    const member = this.#members.get(user);
    const sentAt = this.at(seq).texts[0]?.step ?? 0;
    return member?.leftAt === undefined && member !== undefined && member.joinedAt <= sentAt;
  }

  /** All that somebody may fetch: members see messages as they are now, others as they were when they left. */
  seenBy(user: string): Seen[] {
    const member = this.#members.get(user);
    if (!member) return [];
    return this.said
      .filter(({ seq }) => this.#isIn(member.windows, seq))
      .map(({ seq, texts, reactions, deletedBy }) => {
        if (deletedBy !== undefined) return seenDeleted(seq, deletedBy);
        const known = texts.filter(({ step }) => step <= (member.leftAt ?? Number.POSITIVE_INFINITY));
        const text = known.at(-1)?.text ?? null;
        return { seq, text, rev: known.length - 1, reactions: [...reactions].sort() };
      });
  }

  /** The messages that a device is pushed if it is connected, or comes back: those said while its user was in. */
  pushedTo(user: string): number[] {
    return this.said.filter(({ audience }) => audience.has(user)).map(({ seq }) => seq);
  }
}
