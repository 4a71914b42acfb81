import { LRUCache } from 'lru-cache';
import { withTransferList } from '../../base/workerThreads.js';
import { decodeLeaf } from '../../domain/codec.js';
import type { UserId } from '../../domain/ids.js';
import { usernameContext } from '../../domain/users.js';
import { LogEndsEarly } from '../../log/checkLog.js';
import type { Commit } from '../../log/log.js';
import type { UserRow } from '../../projections/models/userNames.js';
import type { Engine } from '../../projections/store/engine.js';
import type { AnyModel } from '../../projections/store/rowStore.js';
import { open } from '../../vault/dataKeys.js';
import { openVault } from '../../vault/openVault.js';
import { type KeyStore, SECRET_TTL_MS } from '../../vault/vault.js';
import { type AuditedLog, openAuditedLog, openStoredRows, type StoredRows } from '../storedRows.js';
import { activeModel } from '../verify/comparedModels.js';
import { type EventFilter, filterTest } from './eventFilter.js';
import {
  openEvents,
  type PlacedLeaf,
  renderJson,
  renderSealed,
  transcriptLine,
  userIdsIn,
} from './transcript.js';

const MOST_NAMES = 10_000;

/** Names of users, from the read model and their keys. Cached names expire as all cached secrets do. */
class UserNames {
  readonly #kept = new LRUCache<UserId, string>({ max: MOST_NAMES, ttl: SECRET_TTL_MS });

  private constructor(
    private readonly stored: StoredRows,
    private readonly keys: Pick<KeyStore, 'getKeys'>,
    private readonly users: AnyModel,
  ) {}

  static async open(stored: StoredRows, keys: Pick<KeyStore, 'getKeys'>): Promise<UserNames> {
    return new UserNames(stored, keys, await activeModel(stored, 'users'));
  }

  /** Returns a function from each of these ids to its name. An erased or unknown user is named by the id. */
  async lookUp(ids: readonly string[]): Promise<(id: string) => string> {
    const absent = [...new Set(ids)].filter((id) => !this.#kept.has(id));
    const found = new Map(absent.length > 0 ? await this.#load(absent) : []);
    for (const [id, name] of found) this.#kept.set(id, name);
    return (id) => found.get(id) ?? this.#kept.get(id) ?? id;
  }

  async #load(ids: readonly UserId[]): Promise<[UserId, string][]> {
    const rows = (await this.stored.get(this.users, ids)).flatMap(([, , , text]) =>
      // A row of `users` is a UserRow.
      text === null ? [] : [JSON.parse(text) as UserRow],
    );
    const keyOf = await this.keys.getKeys(rows.map(({ userId }) => userId));
    return rows.map(({ userId, username }) => {
      const key = keyOf.get(userId);
      const isErased = key === undefined || key === 'destroyed';
      return [userId, isErased ? `erased user ${userId}` : open(key, username, usernameContext(userId))];
    });
  }
}

/** JSON lines with the texts opened, the same with the texts as they are stored, or lines to be read by people. */
export const forms = ['json', 'sealed', 'transcript'] as const;
export type Form = (typeof forms)[number];

/** The events to render and the form of the text. It crosses threads. */
export interface RenderOptions {
  readonly engine: Engine;
  /** Not needed for sealed texts. */
  readonly masterKey?: Uint8Array | undefined;
  readonly filter: EventFilter;
  readonly as: Form;
}

/** The events of some commits as text. */
export interface Rendered {
  /** UTF-8; of each commit in turn. */
  readonly text: Uint8Array;
  /** Each commit's time, and where in the text it ends. */
  readonly commits: readonly { readonly recordedAt: string; readonly end: number }[];
  readonly events: number;
}

function encoded(texts: readonly string[], commits: readonly Commit[], events: number): Rendered {
  const size = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  // Not of the pool of small buffers: it is given to another thread.
  const text = Buffer.allocUnsafeSlow(size);
  let end = 0;
  const ends = commits.map(({ recordedAt }, i) => {
    end += text.write(texts[i] ?? '', end);
    return { recordedAt, end };
  });
  return withTransferList({ text, commits: ends, events }, text.buffer);
}

/** Turns leaves into lines. */
interface LineRenderer {
  lines(leaves: readonly PlacedLeaf[]): Promise<string[]>;
  close(): Promise<void>;
}

/** Lines that need neither the vault nor the read models. */
const sealedLines: LineRenderer = {
  lines: async (leaves) => leaves.map(renderSealed),
  close: async () => {},
};

/** Throws the errors of the vault and the read models. */
async function openLines({ engine, masterKey, as }: RenderOptions): Promise<LineRenderer> {
  if (as === 'sealed') return sealedLines;
  if (!masterKey) throw new TypeError('texts are opened with the master key');
  // From another thread a buffer comes as plain bytes.
  const vault = await openVault({ engine, masterKey: Buffer.from(masterKey) });
  const stored = await openStoredRows(engine);
  const names = await UserNames.open(stored, vault.keys);
  return {
    lines: (leaves) =>
      as === 'json' ? renderJson(vault.keys, leaves) : renderTranscript(vault.keys, names, leaves),
    async close() {
      await stored.close();
      await vault.close();
    },
  };
}

async function renderTranscript(
  keys: KeyStore,
  names: UserNames,
  leaves: readonly PlacedLeaf[],
): Promise<string[]> {
  const events = leaves.map(({ leaf, partition, offset }) => decodeLeaf(leaf, partition, offset));
  const open = await openEvents(keys, events);
  const nameOf = await names.lookUp(events.flatMap((event) => userIdsIn(event)));
  return open.map((event) => transcriptLine(event, nameOf));
}

/** Turns commits into text, with the log and what its lines need open. */
export class Renderer {
  readonly #isWanted: (leaf: string) => boolean;

  private constructor(
    { filter }: RenderOptions,
    private readonly log: AuditedLog,
    private readonly renderer: LineRenderer,
  ) {
    this.#isWanted = filterTest(filter);
  }

  /** Throws the errors of the log, the vault and the read models. */
  static async open(data: RenderOptions): Promise<Renderer> {
    const log = await openAuditedLog(data.engine);
    return new Renderer(data, log, await openLines(data));
  }

  /** The wanted events of the commits behind `after`, up to `upTo`. */
  async render(partition: number, after: number, upTo: number): Promise<Rendered> {
    const commits = await this.#read(partition, after, upTo);
    const wanted: PlacedLeaf[] = [];
    const counts = commits.map(({ firstOffset, leaves }) => {
      const before = wanted.length;
      for (const [i, leaf] of leaves.entries())
        if (this.#isWanted(leaf)) wanted.push({ partition, offset: firstOffset + i, leaf });
      return wanted.length - before;
    });
    const lines = await this.renderer.lines(wanted);
    const texts: string[] = [];
    let line = 0;
    for (const count of counts) {
      texts.push(count > 0 ? `${lines.slice(line, line + count).join('\n')}\n` : '');
      line += count;
    }
    return encoded(texts, commits, lines.length);
  }

  async close(): Promise<void> {
    await this.renderer.close();
    await this.log.close();
  }

  async #read(partition: number, after: number, upTo: number): Promise<Commit[]> {
    const commits: Commit[] = [];
    for (let position = after; position < upTo; ) {
      const page = await this.log.read(partition, position, upTo - position);
      if (page.length === 0) throw new LogEndsEarly(partition, position);
      commits.push(...page);
      position += page.length;
    }
    return commits;
  }
}
