import { randomUUID } from 'node:crypto';
import { outcomeUnknown, ParleyError } from '../base/errors.js';
import type { CommandRouter, Moment } from '../domain/commands.js';
import type { UserId } from '../domain/ids.js';
import { isUsername, type ProfileField } from '../domain/users.js';
import type { HostLink, HostLinkStore } from '../vault/hostLinks.js';
import type { Credential, CredentialStore, KeyStore } from '../vault/vault.js';

// White initials on each have a contrast of at least 4.5:1 (WCAG 2.2 AA).
const PALETTE = [
  '#b23a48',
  '#a4442a',
  '#8a5a00',
  '#5f6b12',
  '#2f7a3d',
  '#13766b',
  '#0f718f',
  '#2563b8',
  '#4f55c4',
  '#7a46b8',
  '#9a3b98',
  '#a83a6e',
] as const;

/** Chooses a background for a user's initials; `random` is from 0 to below 1. */
export function chooseColor(random: number): string {
  return PALETTE[Math.floor(random * PALETTE.length)] ?? PALETTE[0];
}

interface RegistrationParts {
  readonly vault: {
    readonly keys: Pick<KeyStore, 'create'>;
    readonly credentials: Pick<CredentialStore, 'claim' | 'find'> & Pick<CredentialStore, 'markRegistered'>;
  };
  readonly commands: CommandRouter;
}

/**
 * The steps after the claim to a user's name. Each may be repeated, and in this order each may be the last before a
 * crash. `isNew`: this call has registered the user.
 */
export async function registerUser(
  { userId, username, backgroundColor }: Omit<Credential, 'passwordHash' | 'registered'>,
  { vault, commands }: RegistrationParts,
): Promise<{ readonly moment: Moment; readonly isNew: boolean }> {
  await vault.keys.create(userId);
  const command = { kind: 'register user', userId, username, backgroundColor } as const;
  const { moment, isNew } = await commands.execute<'register user'>(command, randomUUID());
  await vault.credentials.markRegistered(username);
  return { moment, isNew };
}

/** What is known of a new user beside the host id. */
export interface NewHostUser {
  /** `isRequired`: without this name no user is made. */
  readonly username?: { readonly wanted: string; readonly isRequired: boolean };
  readonly profile: { readonly [F in ProfileField]?: string | null } & { readonly bot?: boolean };
}

export interface HostUserParts extends RegistrationParts {
  readonly links: HostLinkStore;
}

/** Numbers of generated names that are tried: a second one is practically never needed. */
const MAX_GENERATED_NAMES = 8;

/** The users whom the host application, or its issuer, names by ids of its own. */
export class HostUsers {
  readonly #parts: HostUserParts;

  constructor(parts: HostUserParts) {
    this.#parts = parts;
  }

  /** The user of this host id. Undefined: it names nobody yet. An erased user is found too. */
  async find(hostId: string): Promise<UserId | undefined> {
    const link = await this.#parts.links.find(hostId);
    return link?.isComplete ? link.userId : undefined;
  }

  /**
   * The user of this host id, who is made if there is none. Interrupted, it is finished by the next call. Throws
   * `conflict` if a required name is or was taken. `commands`: the router of a server key. `isRenamed`: a new user has
   * another name than the wanted one.
   */
  async ensure(
    hostId: string,
    about: NewHostUser,
    commands: CommandRouter = this.#parts.commands,
  ): Promise<{ readonly userId: UserId; readonly isNew: boolean; readonly isRenamed: boolean }> {
    const { links, vault } = this.#parts;
    const known = await links.find(hostId);
    if (known?.isComplete) return { userId: known.userId, isNew: false, isRenamed: false };
    await this.#refuseTakenName(known, about);
    const backgroundColor = chooseColor(Math.random());
    const link = known ?? (await links.claim(hostId, { userId: randomUUID(), backgroundColor }));
    const { userId } = link;
    try {
      const username = link.username ?? (await this.#claimName(hostId, link, about));
      const parts = { vault, commands };
      const { isNew } = await registerUser(
        { userId, username, backgroundColor: link.backgroundColor },
        parts,
      );
      const linking = { kind: 'link identity', userId, subject: hostId } as const;
      await commands.execute<'link identity'>(linking, randomUUID());
      const profile = { kind: 'change profile', userId, ...about.profile } as const;
      await commands.execute<'change profile'>(profile, randomUUID());
      await links.markComplete(hostId);
      const isRenamed = about.username !== undefined && about.username.wanted !== username;
      return { userId, isNew, isRenamed: isNew && isRenamed };
    } catch (error) {
      // `overloaded` would promise that nothing was done.
      if (error instanceof ParleyError && error.code === 'overloaded')
        throw outcomeUnknown('the user is not complete yet: repeat it', error, error.details.retryAfterMs);
      throw error;
    }
  }

  /** Before anything is stored: a name that is taken must not leave a link behind. */
  async #refuseTakenName(link: HostLink | undefined, { username }: NewHostUser): Promise<void> {
    if (!username?.isRequired) return;
    const taken = await this.#parts.vault.credentials.find(username.wanted);
    if (taken === 'erased' || (taken && taken.userId !== link?.userId)) throw nameTaken();
  }

  /** Claims a name for the link's user: the wanted one, else a generated one. */
  async #claimName(hostId: string, link: HostLink, { username }: NewHostUser): Promise<string> {
    const { links } = this.#parts;
    if (username && isUsername(username.wanted)) {
      if (await this.#claim(username.wanted, link)) return links.chooseName(hostId, username.wanted);
      if (username.isRequired) throw nameTaken();
    }
    for (let number = 0; number < MAX_GENERATED_NAMES; number++) {
      const generated = `u.${links.nameOf(hostId, number)}`;
      if (await this.#claim(generated, link)) return links.chooseName(hostId, generated);
    }
    throw new Error(`no generated name of host link ${link.userId} is free`);
  }

  /** Whether the name belongs to the link's user now. */
  async #claim(username: string, { userId, backgroundColor }: HostLink): Promise<boolean> {
    const { credentials } = this.#parts.vault;
    const credential = { userId, username, backgroundColor, registered: false };
    if (await credentials.claim(username, credential)) return true;
    const found = await credentials.find(username);
    return found !== undefined && found !== 'erased' && found.userId === userId;
  }
}

const nameTaken = () => new ParleyError('conflict', 'this name is taken, or was before: choose another');
