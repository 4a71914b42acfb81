import type { Commit } from '../log/log.js';

/** Commits of several partitions, each in its order, as one: by time, then partition. Reads one ahead of each. */
export async function* merge(sources: readonly AsyncGenerator<Commit>[]): AsyncGenerator<Commit> {
  try {
    const firsts = await Promise.all(sources.map((source) => source.next()));
    const heads = firsts.map(({ value }, i) => ({ commit: value as Commit | undefined, source: sources[i] }));
    for (;;) {
      const next = heads.filter(({ commit }) => commit).sort(byTime)[0];
      if (!next?.commit) return;
      yield next.commit;
      next.commit = (await next.source?.next())?.value;
    }
  } finally {
    await Promise.all(sources.map((source) => source.return(undefined)));
  }
}

interface Head {
  readonly commit: Commit | undefined;
}

function byTime({ commit: a }: Head, { commit: b }: Head): number {
  if (!a || !b) return 0;
  if (a.recordedAt === b.recordedAt) return a.partition - b.partition;
  return a.recordedAt < b.recordedAt ? -1 : 1;
}
