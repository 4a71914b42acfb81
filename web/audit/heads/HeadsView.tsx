import './heads.css';
import { describeError } from '../../console/consoleApi.js';
import { downloadJson } from '../../ui/browser.js';
import { formatUtcMs } from '../../ui/format.js';
import { useSource } from '../../ui/hooks.js';
import { AcknowledgedAlarms } from '../Alarms.js';
import { useConsole } from '../consoleContext.js';
import { VerificationSteps } from '../proof/VerificationSteps.js';
import { toBase64 } from '../verify/bytes.js';
import { outcomeOf } from '../verify/verification.js';
import type { HeadCheck } from '../witness/witness.js';
import type { WitnessedPartition } from '../witness/witnessState.js';
import { GrowthPanel } from './GrowthPanel.js';

/** The signed head of each partition and whether it extends the one before. */
export function HeadsView() {
  const { witness } = useConsole();
  const { checks, state, isChecking, error } = useSource(witness);
  return (
    <>
      <p class="quiet">
        While the console is open, this browser is a witness of the log. Every 15 seconds it checks that the
        signed head of each partition extends the head before, and stores the new head.
      </p>
      <div class="row">
        <button
          class="button primary"
          type="button"
          disabled={isChecking}
          onClick={() => void witness.checkNow()}
        >
          Check now
        </button>
        <button class="button" type="button" onClick={() => downloadJson('stored-heads.json', state)}>
          Download stored heads
        </button>
      </div>
      {error === undefined ? null : (
        <p class="notice bad" role="status">
          {describeError(error)}
        </p>
      )}
      <ul class="heads">
        {checks.map((check) => (
          <li key={check.partition}>
            <HeadCard check={check} stored={state.partitions[check.partition]} />
          </li>
        ))}
      </ul>
      <GrowthPanel checks={checks} state={state} />
      <AcknowledgedAlarms alarms={state.alarms} />
    </>
  );
}

const outcomeTexts = {
  passed: 'signed and consistent with earlier heads',
  failed: 'failed verification',
  unable: 'consistent with earlier heads; this browser cannot verify the signature',
} as const;

interface HeadCardProps {
  readonly check: HeadCheck;
  readonly stored: WitnessedPartition | undefined;
}

function HeadCard({ check: { partition, at, size, root, steps, error }, stored }: HeadCardProps) {
  const outcome = error === undefined ? outcomeOf(steps) : undefined;
  return (
    <section class="panel head" aria-label={`Partition ${partition}`}>
      <h2>
        Partition {partition}{' '}
        <span class={`outcome ${outcome ?? 'unable'}`}>{outcome ? outcomeTexts[outcome] : 'no answer'}</span>
      </h2>
      {error === undefined ? null : <p>{describeError(error)}</p>}
      <dl class="fields">
        <div>
          <dt>Events</dt>
          <dd>{size ?? '–'}</dd>
        </div>
        <div>
          <dt>Root hash</dt>
          <dd class="mono">{root ? toBase64(root) : '–'}</dd>
        </div>
        <div>
          <dt>Checked at</dt>
          <dd>{formatUtcMs(at)}</dd>
        </div>
        <div>
          <dt>Checked since</dt>
          <dd>{stored ? formatUtcMs(stored.sizes[0]?.at ?? stored.storedAt) : '–'}</dd>
        </div>
      </dl>
      {steps.length === 0 ? null : (
        <details>
          <summary>Verification steps</summary>
          <VerificationSteps steps={steps} />
        </details>
      )}
    </section>
  );
}
