import { sayWhy } from '../api.js';
import { Steps } from '../proof/Steps.js';
import { exactly } from '../times.js';
import { toBase64 } from '../verify/bytes.js';
import { outcomeOf } from '../verify/steps.js';
import type { KeptPartition } from '../witness/memory.js';
import type { Sighting } from '../witness/witness.js';

interface Props {
  readonly sighting: Sighting;
  readonly kept: KeptPartition | undefined;
}

const said = {
  passed: 'signed, and extends what was kept',
  failed: 'refused',
  unable: 'extends what was kept; the signature cannot be verified in this browser',
} as const;

/** One partition's head. */
export function HeadCard({ sighting: { partition, at, size, root, steps, error }, kept }: Props) {
  const outcome = error === undefined ? outcomeOf(steps) : undefined;
  return (
    <section class="panel head" aria-label={`Partition ${partition}`}>
      <h2>
        Partition {partition}{' '}
        <span class={`outcome ${outcome ?? 'unable'}`}>{outcome ? said[outcome] : 'not answered'}</span>
      </h2>
      {error === undefined ? null : <p>{sayWhy(error)}</p>}
      <dl class="fields">
        <div>
          <dt>Events</dt>
          <dd>{size ?? '–'}</dd>
        </div>
        <div>
          <dt>Root</dt>
          <dd class="mono">{root ? toBase64(root) : '–'}</dd>
        </div>
        <div>
          <dt>Looked at</dt>
          <dd>{exactly(at)}</dd>
        </div>
        <div>
          <dt>Kept since</dt>
          <dd>{kept ? exactly(kept.seen[0]?.at ?? kept.keptAt) : '–'}</dd>
        </div>
      </dl>
      {steps.length === 0 ? null : (
        <details>
          <summary>How it was checked</summary>
          <Steps steps={steps} />
        </details>
      )}
    </section>
  );
}
