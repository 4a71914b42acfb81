import './alarms.css';
import { useEffect } from 'preact/hooks';
import { downloadJson } from '../ui/browser.js';
import { formatUtcMs } from '../ui/format.js';
import { useSource } from '../ui/hooks.js';
import { useConsole } from './consoleContext.js';
import type { Alarm } from './witness/witnessState.js';

/** The alarms that nobody has acknowledged, above every view. The page's title shows them too. */
export function OpenAlarms({ title }: { readonly title: string }) {
  const { witness } = useConsole();
  const { alarms } = useSource(witness).state;
  const open = alarms.filter(({ acknowledgedAt }) => acknowledgedAt === undefined);
  const isCalm = open.length === 0;
  useEffect(() => {
    document.title = isCalm ? title : `ALARM · ${title}`;
  }, [title, isCalm]);
  return (
    <div role="alert" class="alarms">
      {open.map((alarm) => (
        <OpenAlarm key={alarm.id} alarm={alarm} onAcknowledge={() => witness.acknowledge(alarm.id)} />
      ))}
    </div>
  );
}

interface OpenAlarmProps {
  readonly alarm: Alarm;
  readonly onAcknowledge: () => void;
}

function OpenAlarm({ alarm, onAcknowledge }: OpenAlarmProps) {
  return (
    <section class="alarm" aria-label={`Alarm of partition ${alarm.partition}`}>
      <h2>Alarm: the log of partition {alarm.partition} failed verification</h2>
      {failuresOf(alarm).map((failure) => (
        <p key={failure}>{failure}</p>
      ))}
      <p>
        Detected at {formatUtcMs(alarm.at)}. Download the evidence and contact the operator. After you
        acknowledge the alarm, this browser trusts the next head of this partition as a new start.
      </p>
      <div class="row">
        <button class="button" type="button" onClick={() => downloadEvidence(alarm)}>
          Download evidence
        </button>
        <button class="button" type="button" onClick={onAcknowledge}>
          Acknowledge
        </button>
      </div>
    </section>
  );
}

/** The alarms that were acknowledged, with their evidence. */
export function AcknowledgedAlarms({ alarms }: { readonly alarms: readonly Alarm[] }) {
  const acknowledged = alarms.filter(({ acknowledgedAt }) => acknowledgedAt !== undefined);
  if (acknowledged.length === 0) return null;
  return (
    <section class="panel" aria-label="Acknowledged alarms">
      <h2>Acknowledged alarms</h2>
      <ul class="past">
        {acknowledged.map((alarm) => (
          <li key={alarm.id}>
            <p>
              Partition {alarm.partition}, {formatUtcMs(alarm.at)}: {failuresOf(alarm).join(' ')}
            </p>
            <button class="button" type="button" onClick={() => downloadEvidence(alarm)}>
              Download evidence
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

const failuresOf = ({ steps }: Alarm): readonly string[] =>
  steps.filter(({ outcome }) => outcome === 'failed').map(({ text }) => text);

const downloadEvidence = (alarm: Alarm): void =>
  downloadJson(`alarm-${alarm.partition}-${alarm.at.replaceAll(':', '')}.json`, alarm);
