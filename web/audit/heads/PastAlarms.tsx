import { downloadEvidence, whatFailed } from '../Alarms.js';
import { exactly } from '../times.js';
import type { Alarm } from '../witness/memory.js';

/** Alarms that were acknowledged; their evidence stays. */
export function PastAlarms({ alarms }: { readonly alarms: readonly Alarm[] }) {
  const past = alarms.filter(({ acknowledgedAt }) => acknowledgedAt !== undefined);
  if (past.length === 0) return null;
  return (
    <section class="panel" aria-label="Acknowledged alarms">
      <h2>Acknowledged alarms</h2>
      <ul class="past">
        {past.map((alarm) => (
          <li key={alarm.id}>
            <p>
              Partition {alarm.partition}, {exactly(alarm.at)}: {whatFailed(alarm).join(' ')}
            </p>
            <button class="button" type="button" onClick={() => downloadEvidence(alarm)}>
              Download the evidence
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
