import { useEffect } from 'preact/hooks';
import { useConsole } from './console.js';
import { download } from './download.js';
import { exactly } from './times.js';
import { useWatch } from './useWatch.js';
import type { Alarm } from './witness/memory.js';

/** What nobody may miss: heads that were refused, until they are acknowledged; the page's title says so too. */
export function Alarms({ title }: { readonly title: string }) {
  const { memory } = useWatch();
  const open = memory.alarms.filter(({ acknowledgedAt }) => acknowledgedAt === undefined);
  const isCalm = open.length === 0;
  useEffect(() => {
    document.title = isCalm ? title : `ALARM · ${title}`;
  }, [title, isCalm]);
  return (
    <div role="alert" class="alarms">
      {open.map((alarm) => (
        <OpenAlarm key={alarm.id} alarm={alarm} />
      ))}
    </div>
  );
}

function OpenAlarm({ alarm }: { readonly alarm: Alarm }) {
  const { witness } = useConsole();
  return (
    <section class="alarm" aria-label={`Alarm of partition ${alarm.partition}`}>
      <h2>Alarm: the log of partition {alarm.partition} is not what it was</h2>
      {whatFailed(alarm).map((says) => (
        <p key={says}>{says}</p>
      ))}
      <p>
        Found {exactly(alarm.at)}. Keep the evidence, and ask the operator. Acknowledging takes the head as
        the server gives it next for a new beginning.
      </p>
      <div class="row">
        <button class="button" type="button" onClick={() => downloadEvidence(alarm)}>
          Download the evidence
        </button>
        <button class="button" type="button" onClick={() => witness.acknowledge(alarm.id)}>
          Acknowledge
        </button>
      </div>
    </section>
  );
}

/** What was wrong, in sentences. */
export const whatFailed = ({ steps }: Alarm): readonly string[] =>
  steps.filter(({ outcome }) => outcome === 'failed').map(({ says }) => says);

/** Hands out both heads and what was found. */
export const downloadEvidence = (alarm: Alarm): void =>
  download(`alarm-${alarm.partition}-${alarm.at.replaceAll(':', '')}.json`, JSON.stringify(alarm, null, 2));
