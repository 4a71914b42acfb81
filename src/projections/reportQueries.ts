import { isDeepStrictEqual } from 'node:util';
import type { CommandOf, Moment } from '../domain/commands.js';
import type { Sealing } from '../domain/defineEvent.js';
import type { Sealed } from '../domain/fields.js';
import type { UserId } from '../domain/ids.js';
import { reportName, reportNoteSealing, verdictNoteSealing } from '../domain/moderation/reports.js';
import { open } from '../vault/dataKeys.js';
import type { KeyStore } from '../vault/vault.js';
import { cutPage, fromNext, nextOf } from './answerPages.js';
import {
  type ReportRow,
  type ReportState,
  reportsModel,
  type StoredDecision,
  stateOf,
} from './models/reportRows.js';
import type { Progress } from './queryWaits.js';
import { type RowReader, rowsUnder, valuesOf } from './store/rowStore.js';

/** A report with its notes opened; null where the key was destroyed. */
export interface Report extends Omit<ReportRow, 'note' | 'decided'> {
  readonly note?: string | null;
  readonly decided?: Omit<StoredDecision, 'note'> & { readonly note: string | null };
}

/** The part of a report that its reporter chose. */
export type ReportBody = Omit<
  CommandOf<'record report'>,
  'kind' | 'actor' | 'reportId' | 'seqs' | 'evidence'
>;

const bodyOf = ({ roomId, messageIds, userId, category, note }: Report | ReportBody) => ({
  ...{ roomId, messageIds, userId, category },
  note,
});

/** Whether a report has this body. Of an erased reporter's note nothing is known, so that it may be the same. */
export const hasBody = (report: Report, body: ReportBody): boolean =>
  isDeepStrictEqual({ ...bodyOf(body), ...(report.note === null ? { note: null } : {}) }, bodyOf(report));

interface ReportSources {
  readonly rows: RowReader;
  readonly progress: Pick<Progress, 'waitFor'>;
  readonly keys: Pick<KeyStore, 'getKeys'>;
}

/** Reads reports. Each read waits until the read model has folded all of `at`: `overloaded` after 5 s. */
export class Reports {
  constructor(private readonly sources: ReportSources) {}

  /** The report of this reporter. */
  async find(reporter: UserId, reportId: string, at: readonly Moment[]): Promise<Report | undefined> {
    await this.#waitFor(at);
    const key = reportName(reporter, reportId);
    const found = await this.sources.rows.get(reportsModel, [key]);
    return (await this.#open(valuesOf(found.values())))[0];
  }

  /**
   * The report of this id, by any reporter. If two reporters used the same id, returns the older of those reports that
   * are open; if none is open, the older one.
   */
  async byId(reportId: string, at: readonly Moment[]): Promise<Report | undefined> {
    await this.#waitFor(at);
    const range = { after: `${reportId}/`, before: `${reportId}0`, limit: SAME_IDS };
    const rows = valuesOf(await this.sources.rows.range(reportsModel, range));
    rows.sort((a, b) =>
      stateOf(a) === stateOf(b) ? (a.reportedAt < b.reportedAt ? -1 : 1) : a.decided ? 1 : -1,
    );
    return (await this.#open(rows.slice(0, 1)))[0];
  }

  /** A page of reports: open ones oldest first, closed ones newest first. Throws `bad_request` if `next` was altered. */
  async page(
    state: ReportState,
    { limit, next }: { limit: number; next?: string },
    at: readonly Moment[],
  ): Promise<{ reports: Report[]; next?: string }> {
    await this.#waitFor(at);
    const found = await this.sources.rows.find(reportsModel, 'state', {
      terms: [state],
      reverse: state === 'closed',
      limit: limit + 1,
      ...fromNext(PAGE_OF[state], next),
    });
    const reports = await this.#open(valuesOf(found.slice(0, limit)));
    // An index is not trusted.
    const { shown, end } = cutPage(reports, found.length > limit, (report) =>
      stateOf(report) === state ? report : undefined,
    );
    const placeOf = ({ reporter, reportId, reportedAt }: Report) => ({
      sort: Date.parse(reportedAt),
      key: reportName(reporter, reportId),
    });
    return { reports: shown, ...nextOf(PAGE_OF[state], end, placeOf) };
  }

  /** All reports of this reporter, a page at a time. */
  async *of(reporter: UserId, at: readonly Moment[]): AsyncGenerator<Report[]> {
    await this.#waitFor(at);
    for await (const page of rowsUnder(this.sources.rows, reportsModel, 'reporter', reporter))
      yield this.#open(valuesOf(page).filter((row) => row.reporter === reporter));
  }

  async #waitFor(at: readonly Moment[]): Promise<void> {
    await Promise.all(at.map((moment) => this.sources.progress.waitFor(moment)));
  }

  /** Opens notes, all at once. */
  async #open(rows: readonly ReportRow[]): Promise<Report[]> {
    const seals = rows.flatMap(({ reporter, reportId, decided }) => [
      reportNoteSealing(reporter, reportId),
      ...(decided ? [verdictNoteSealing(reporter, reportId, decided.by)] : []),
    ]);
    if (rows.length === 0) return [];
    const keys = await this.sources.keys.getKeys([...new Set(seals.map(({ owner }) => owner))]);
    const openNote = (sealed: Sealed | null, { owner, context }: Sealing): string | null => {
      const key = keys.get(owner);
      if (sealed === null || key === 'destroyed') return null;
      if (key === undefined) throw new TypeError(`the key of ${owner} was not requested`);
      return open(key, sealed, context);
    };
    return rows.map(({ note, decided, ...row }) => {
      const { reporter, reportId } = row;
      return {
        ...row,
        ...(note === undefined ? {} : { note: openNote(note, reportNoteSealing(reporter, reportId)) }),
        ...(decided
          ? {
              decided: {
                ...decided,
                note: openNote(decided.note, verdictNoteSealing(reporter, reportId, decided.by)),
              },
            }
          : {}),
      };
    });
  }
}

/** The most reports of one id that are compared; more than one needs reporters who agreed on it. */
const SAME_IDS = 100;

/** The `next` of one list cannot be used for the other. */
const PAGE_OF = { open: 'open reports', closed: 'closed reports' } as const;
