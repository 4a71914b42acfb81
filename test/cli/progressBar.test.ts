import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { startProgressBar } from '../../src/cli/commandLine.js';

function written(isTTY: boolean, work: (bar: ReturnType<typeof startProgressBar>) => void): string {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 100 });
  // All of a terminal that is asked for.
  const bar = startProgressBar(stream as unknown as NodeJS.WriteStream);
  work(bar);
  bar.stop();
  return String(stream.read() ?? '');
}

describe('the progress bar', () => {
  const half = { phase: 'replay', done: 1_000_000, total: 2_000_000, perSecond: 250_000, remainingMs: 4000 };

  it('shows percentage, speed and the time left', () => {
    const text = written(true, (bar) => bar.onProgress?.(half));
    expect(text).to.include('replay').and.to.include('50%').and.to.include('250,000 a second');
    expect(text).to.include('0:04 left');
  });

  it('shows hours, and ? while the time left is unknown', () => {
    const long = written(true, (bar) => bar.onProgress?.({ ...half, remainingMs: 3_723_000 }));
    expect(long).to.include('1:02:03 left');
    expect(written(true, (bar) => bar.onProgress?.({ ...half, remainingMs: undefined }))).to.include(
      '? left',
    );
  });

  it('starts again with each phase', () => {
    const text = written(true, (bar) => {
      bar.onProgress?.(half);
      bar.onProgress?.({ ...half, phase: 'tables', done: 0 });
    });
    expect(text).to.include('tables').and.to.include(' 0%');
  });

  it('is drawn on a terminal only', () => {
    expect(written(false, (bar) => bar.onProgress?.(half))).to.equal('');
  });
});
