/** The part of Lighthouse's answer that is used. */
interface Report {
  readonly lhr: {
    readonly categories: Readonly<Record<string, { readonly score: number | null }>>;
    readonly audits: Readonly<Record<string, { readonly numericValue?: number } | undefined>>;
  };
}

export type Auditing = (
  url: string,
  flags: { readonly port: number; readonly output: 'json'; readonly logLevel: 'error' },
) => Promise<Report | undefined>;

/** Times in milliseconds; what a measure does not have is absent. */
export interface Figures {
  /** The lowest of the four scores, 0–100. */
  readonly score?: number;
  readonly fcp?: number;
  readonly lcp?: number;
  readonly interactive?: number;
  readonly cls?: number;
  /** All that is transferred, with headers. */
  readonly bytes?: number;
  /** Until somebody can use it. */
  readonly wait?: number;
}

/**
 * One run of Lighthouse in its mobile form: it loads the page at full speed, and computes from what it has seen how long a
 * phone takes whose CPU is a quarter as fast, at 1.6 Mbit/s with round trips of 150 ms.
 */
export async function auditOnce(audit: Auditing, url: string, port: number): Promise<Figures> {
  const report = await audit(url, { port, output: 'json', logLevel: 'error' });
  if (!report) throw new Error(`Lighthouse has nothing to say of ${url}`);
  const { categories, audits } = report.lhr;
  const read = (name: string): number => audits[name]?.numericValue ?? Number.NaN;
  const scores = Object.values(categories).map(({ score }) => Math.round((score ?? 0) * 100));
  return {
    score: Math.min(...scores),
    fcp: Math.round(read('first-contentful-paint')),
    lcp: Math.round(read('largest-contentful-paint')),
    interactive: Math.round(read('interactive')),
    cls: Number(read('cumulative-layout-shift').toFixed(3)),
    bytes: Math.round(read('total-byte-weight')),
  };
}
