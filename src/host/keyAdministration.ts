import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import type { CommandRouter } from '../domain/commands.js';
import type { KeyList, KeyScope } from '../domain/hostKeys.js';
import type { Actor, KeyId } from '../domain/ids.js';
import type { ServerKeyStore } from '../vault/serverKeys.js';

export interface KeyParts {
  readonly keys: ServerKeyStore;
  readonly commands: CommandRouter;
  /** The id of the log, whose policy says which keys there are. */
  readonly policyId: string;
}

/**
 * Adds and revokes server keys. The log has a key before the vault, and the vault revokes it before the log: so a key
 * that opens anything is one that the log permits.
 */
export class KeyAdministration {
  readonly #parts: KeyParts;

  constructor(parts: KeyParts) {
    this.#parts = parts;
  }

  /** Resolves with the key's secret, which nobody can read again. Throws `forbidden` when there are too many. */
  async add(keyId: KeyId, name: string, scopes: readonly KeyScope[]): Promise<{ keyId: KeyId; key: string }> {
    await this.#record(keyId, scopes);
    const key = await this.#parts.keys.create({
      id: keyId,
      name,
      scopes,
      createdAt: new Date().toISOString(),
    });
    return { keyId, key };
  }

  /** In the order in which they were made. */
  async list(): Promise<z.infer<typeof KeyList>> {
    const keys = await this.#parts.keys.list();
    return { keys: keys.map(({ id, scopes, ...key }) => ({ keyId: id, ...key, scopes: [...scopes] })) };
  }

  /**
   * No node takes the key any more once this has resolved. `by`: the admin who decides; `system` for an operator. May be
   * repeated. Throws `not_found` for an unknown key.
   */
  async revoke(keyId: KeyId, by: Actor): Promise<boolean> {
    const { keys, commands, policyId } = this.#parts;
    await keys.revoke(keyId, new Date());
    const command = { kind: 'revoke key', policyId, keyId, by } as const;
    return (await commands.execute<'revoke key'>(command, randomUUID())).changed;
  }

  /** Records the valid keys that a restored log has lost. May be repeated. */
  async recordLost(): Promise<void> {
    for (const { id, scopes, revokedAt } of await this.#parts.keys.list())
      if (revokedAt === undefined) await this.#record(id, scopes);
  }

  async #record(keyId: KeyId, scopes: readonly KeyScope[]): Promise<void> {
    const { commands, policyId } = this.#parts;
    const command = { kind: 'add key', policyId, keyId, scopes } as const;
    await commands.execute<'add key'>(command, randomUUID());
  }
}
