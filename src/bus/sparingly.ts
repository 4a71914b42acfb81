type Report = (message: string, error: unknown) => void;

/** The same, at most once in so many milliseconds for each message: what comes from outside must not fill the log. */
export function sparingly(report: Report, everyMs: number): Report {
  const last = new Map<string, number>();
  return (message, error) => {
    const now = performance.now();
    if (now - (last.get(message) ?? Number.NEGATIVE_INFINITY) < everyMs) return;
    last.set(message, now);
    report(message, error);
  };
}
