import { expect } from 'chai';
import { paceLines } from '../../src/http/problems.js';
import { type VirtualTime, virtualTime } from '../support/virtualTime.js';

/** Lines that come when they are told to. */
class Source {
  isReturned = false;
  #resolve: ((result: IteratorResult<string, undefined>) => void) | undefined;
  #reject: ((error: Error) => void) | undefined;
  readonly lines = {
    next: () =>
      new Promise<IteratorResult<string, undefined>>((resolve, reject) => {
        this.#resolve = resolve;
        this.#reject = reject;
      }),
    return: async () => {
      this.isReturned = true;
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => this.lines,
    // All that is asked of a generator.
  } as unknown as AsyncGenerator<string>;

  say(value: string): void {
    this.#resolve?.({ done: false, value });
  }

  end(): void {
    this.#resolve?.({ done: true, value: undefined });
  }

  fail(error: Error): void {
    this.#reject?.(error);
  }
}

describe('a streamed answer', () => {
  let time: VirtualTime;
  let source: Source;
  let cut: number;
  let read: string[];
  let ended: Promise<string>;
  let takes: boolean;
  let take: () => void;

  /** Reads what comes; while `takes` is false, keeps the last text waiting. */
  beforeEach(() => {
    [time, source, cut, read, takes] = [virtualTime(), new Source(), 0, [], true];
    take = () => {};
    const cutOff = () => cut++;
    ended = (async () => {
      for await (const text of paceLines(source.lines, cutOff, time)) {
        read.push(text);
        if (!takes) await new Promise<void>((resolve) => (take = resolve));
      }
      return 'ended';
    })().catch((error: Error) => error.message);
  });

  it('has an empty line after each 15 s of silence, from its beginning on', async () => {
    await time.advance(14_999);
    expect(read).to.deep.equal([]);
    await time.advance(1);
    expect(read).to.deep.equal(['\n']);
    await time.advance(30_000);
    expect(read).to.deep.equal(['\n', '\n', '\n']);
  });

  it('has each line as soon as it comes, and counts the silence from there', async () => {
    await time.advance(10_000);
    source.say('{}\n');
    await time.advance(14_999);
    expect(read).to.deep.equal(['{}\n']);
    await time.advance(1);
    expect(read).to.deep.equal(['{}\n', '\n']);
    source.say('[]\n');
    await time.advance(0);
    expect(read).to.deep.equal(['{}\n', '\n', '[]\n']);
  });

  it('has an empty line too while pages without events come', async () => {
    for (let second = 0; second < 20; second++) {
      source.say('');
      await time.advance(1000);
    }
    expect(read).to.deep.equal(['\n']);
  });

  it('ends or fails as its source does, and leaves nothing behind', async () => {
    await time.advance(16_000);
    source.end();
    await time.advance(0);
    expect([await ended, source.isReturned]).to.deep.equal(['ended', true]);
    await time.advance(100_000);
    expect([read, cut]).to.deep.equal([['\n'], 0]);
  });

  it('fails as its source does, also in the middle of a silence', async () => {
    takes = false;
    await time.advance(15_000);
    source.fail(new Error('no answer from the log'));
    await time.advance(0);
    take();
    expect(await ended).to.equal('no answer from the log');
  });

  it('is cut off when its client takes nothing for 60 s, of empty lines too', async () => {
    takes = false;
    await time.advance(15_000 + 59_999);
    expect([read, cut]).to.deep.equal([['\n'], 0]);
    await time.advance(1);
    expect([read, cut]).to.deep.equal([['\n'], 1]);
  });
});
