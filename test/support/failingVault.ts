import { VaultUnavailable } from '../../src/base/errors.js';
import type { Vault } from '../../src/vault/vault.js';

/**
 * The same vault, until it has answered `calls` times; the call after that is the last it sees, or does not
 * see: `reaches` says whether it takes effect although no answer comes. All later ones are outages.
 */
export function failAfter(vault: Vault, calls: number, reaches = false): Vault {
  let answered = 0;

  async function call(work: () => Promise<unknown>): Promise<unknown> {
    const left = calls - answered++;
    if (left > 0) return work();
    if (left === 0 && reaches) await work();
    throw new VaultUnavailable('the vault fails here on purpose');
  }

  /** Methods that do not ask the vault. */
  const isLocal = (name: string | symbol) =>
    ['onRevoked', 'getCached', 'getCachedRoomKeys', 'idOf'].includes(String(name));

  function failing<S extends object>(store: S): S {
    return new Proxy(store, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== 'function' || isLocal(name)) return member;
        return (...args: unknown[]) => call(() => Reflect.apply(member, target, args));
      },
    });
  }

  return {
    keys: failing(vault.keys),
    credentials: failing(vault.credentials),
    sessions: failing(vault.sessions),
    erasures: failing(vault.erasures),
    close: () => vault.close(),
  };
}
