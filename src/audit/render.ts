import { decodeLeaf } from '../events/codec.js';
import { LogEndsEarly } from '../log/check.js';
import type { Commit } from '../log/log.js';
import type { Engine } from '../projections/engine.js';
import { type OpenVault, openVault } from '../vault/openVault.js';
import { type EventFilter, textFilter } from './eventFilter.js';
import { jsonOf, type PlacedLeaf } from './jsonLines.js';
import { Names } from './names.js';
import { openEvents } from './openEvents.js';
import { openSource, type SourceLog } from './source.js';
import { openStoredRows, type StoredRows } from './storedRows.js';
import { mentioned, transcriptLine } from './transcript.js';

/** JSON lines, or lines to be read by people. */
export type Form = 'json' | 'transcript';

/** What is turned into text, and how; it crosses threads. */
export interface RenderOptions {
  readonly engine: Engine;
  readonly masterKey: Uint8Array;
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

/** Turns commits into text, with the log, the keys and the read models open. */
export class Renderer {
  readonly #isWanted: (leaf: string) => boolean;

  private constructor(
    private readonly data: RenderOptions,
    private readonly log: SourceLog,
    private readonly vault: OpenVault,
    private readonly stored: StoredRows,
    private readonly names: Names,
  ) {
    this.#isWanted = textFilter(data.filter);
  }

  /** Throws what log, vault and read models throw. */
  static async open(data: RenderOptions): Promise<Renderer> {
    const { engine } = data;
    const log = await openSource(engine);
    // From another thread a buffer comes as plain bytes.
    const vault = await openVault({ engine, masterKey: Buffer.from(data.masterKey) });
    const stored = await openStoredRows(engine);
    return new Renderer(data, log, vault, stored, await Names.open(stored, vault.keys));
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
    const lines = this.data.as === 'json' ? await jsonOf(this.vault.keys, wanted) : await this.#told(wanted);
    const parts: Buffer[] = [];
    const ends: { recordedAt: string; end: number }[] = [];
    let [line, end] = [0, 0];
    for (const [i, { recordedAt }] of commits.entries()) {
      const some = lines.slice(line, line + (counts[i] ?? 0));
      const text = Buffer.from(some.length > 0 ? `${some.join('\n')}\n` : '');
      parts.push(text);
      line += some.length;
      end += text.length;
      ends.push({ recordedAt, end });
    }
    return { text: Buffer.concat(parts), commits: ends, events: lines.length };
  }

  async close(): Promise<void> {
    await this.stored.close();
    await this.vault.close();
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

  async #told(leaves: readonly PlacedLeaf[]): Promise<string[]> {
    const events = leaves.map(({ leaf, partition, offset }) => decodeLeaf(leaf, partition, offset));
    const open = await openEvents(this.vault.keys, events);
    const nameOf = await this.names.of(events.flatMap(mentioned));
    return open.map((event, i) => transcriptLine(event, events[i]?.audience ?? [], nameOf));
  }
}
