import { Readable } from 'node:stream';
import type { RouterContext } from '@koa/router';

/** Who takes nothing for so long has gone. */
const STALLED_MS = 60_000;

/**
 * Answers with a line of JSON each, read as fast as the client reads; one who does not is cut off. The first page comes
 * before the head of the answer, so that an outage is told as one.
 */
export async function ndjson(ctx: RouterContext, pages: AsyncGenerator<readonly object[]>): Promise<void> {
  const first = await pages.next();
  const isHead = ctx.method === 'HEAD';
  if (isHead) await pages.return(undefined);
  ctx.type = 'application/x-ndjson';
  ctx.body = Readable.from(isHead || first.done ? [] : lines(first.value, pages, () => ctx.res.destroy()), {
    objectMode: false,
  });
  // There may be no line for long.
  ctx.flushHeaders();
}

async function* lines(
  first: readonly object[],
  rest: AsyncIterable<readonly object[]>,
  giveUp: () => void,
): AsyncGenerator<string> {
  yield* patiently(first, giveUp);
  for await (const page of rest) yield* patiently(page, giveUp);
}

function* patiently(page: readonly object[], giveUp: () => void): Generator<string> {
  if (page.length === 0) return;
  const timer = setTimeout(giveUp, STALLED_MS);
  try {
    yield page.map((one) => `${JSON.stringify(one)}\n`).join('');
  } finally {
    clearTimeout(timer);
  }
}
