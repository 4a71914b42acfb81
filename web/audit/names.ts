import type { User } from '../../src/client/index.js';
import type { Api } from './api.js';

/** Of people that one look at the log is about. */
const MOST = 2000;

/** People's names, each asked for once; the oldest are forgotten first. */
export class Names {
  readonly #users = new Map<string, Promise<User | undefined>>();

  constructor(private readonly api: Api) {}

  /** The person of this id; undefined if the server does not say. */
  of(userId: string): Promise<User | undefined> {
    const known = this.#users.get(userId);
    if (known) return known;
    const asked = this.api.json<{ user: User }>(`/user/${encodeURIComponent(userId)}`).then(
      ({ user }) => user,
      () => {
        // Asked again when it is shown again.
        this.#users.delete(userId);
        return undefined;
      },
    );
    this.#users.set(userId, asked);
    const [oldest] = this.#users.keys();
    if (this.#users.size > MOST && oldest !== undefined) this.#users.delete(oldest);
    return asked;
  }
}
