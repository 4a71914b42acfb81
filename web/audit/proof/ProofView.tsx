import { useRef } from 'preact/hooks';
import { Icon } from '../../ui/icons.js';
import { sayWhy } from '../api.js';
import { useConsole } from '../console.js';
import { download } from '../download.js';
import { goTo, hrefOf } from '../route.js';
import { useAnswer } from '../useAnswer.js';
import { outcomeOf } from '../verify/steps.js';
import { hasWebCrypto } from '../witness/witness.js';
import { fetchProof, type Proven } from './fetchProof.js';
import { Steps } from './Steps.js';

interface Props {
  readonly query: Readonly<Record<string, string>>;
}

const WHOLE = /^(?:0|[1-9]\d{0,14})$/;

/** The proof of one event, checked in this browser step by step. */
export function ProofView({ query }: Props) {
  const { api, witness } = useConsole();
  const { partition = '', offset = '' } = query;
  const isPlace = WHOLE.test(partition) && WHOLE.test(offset) && hasWebCrypto();
  const place = { partition: Number(partition), offset: Number(offset) };
  const knownKeys = () => witness.get().memory.partitions[place.partition]?.keys;
  const answer = useAnswer(isPlace ? `${partition}/${offset}` : undefined, (signal) =>
    fetchProof(api, place, knownKeys(), signal),
  );
  return (
    <>
      <Place key={`${partition}/${offset}`} partition={partition} offset={offset} />
      {isPlace ? null : (
        <p class="quiet">
          An event is proven by its place in the log. Any event of the search leads here; or say the place.
        </p>
      )}
      {isPlace && answer.state === 'loading' ? <p role="status">Fetching and checking the proof…</p> : null}
      {answer.state === 'failed' ? (
        <p class="notice bad" role="alert">
          {sayWhy(answer.error)}
        </p>
      ) : null}
      {answer.state === 'ready' ? <Found proven={answer.value} {...place} /> : null}
    </>
  );
}

function Place({ partition, offset }: { readonly partition: string; readonly offset: string }) {
  const form = useRef<HTMLFormElement>(null);
  const prove = (event: Event): void => {
    event.preventDefault();
    const data = new FormData(form.current ?? undefined);
    goTo(hrefOf('proof', { partition: String(data.get('partition')), offset: String(data.get('offset')) }));
  };
  const field = (name: string, label: string, value: string) => (
    <div class="field">
      <label for={name}>{label}</label>
      <input
        class="input"
        id={name}
        name={name}
        type="number"
        min={0}
        step={1}
        required
        defaultValue={value}
      />
    </div>
  );
  return (
    <form ref={form} class="panel choose" onSubmit={prove}>
      {field('partition', 'Partition', partition === '' ? '0' : partition)}
      {field('offset', 'Offset', offset)}
      <button class="button primary" type="submit">
        Prove it
      </button>
    </form>
  );
}

const verdicts = {
  passed: 'Proven: the signer says that this event is in the log, at this place.',
  failed: 'Refused: this proof is wrong.',
  unable: 'Not decided: this browser cannot verify Ed25519 signatures. All hashes are right.',
} as const;

interface FoundProps {
  readonly proven: Proven;
  readonly partition: number;
  readonly offset: number;
}

function Found({ proven: { steps, entry, event, file }, partition, offset }: FoundProps) {
  const outcome = outcomeOf(steps);
  const text = event?.data.text ?? event?.data.username;
  return (
    <>
      <div class={`verdict ${outcome}`} role={outcome === 'failed' ? 'alert' : 'status'}>
        <Icon name={outcome === 'passed' ? 'sent' : 'refused'} />
        <p>{verdicts[outcome]}</p>
      </div>
      <div class="proof">
        <section aria-label="Checked in this browser">
          <h2>Checked in this browser</h2>
          <Steps steps={steps} />
        </section>
        <section class="panel" aria-label="What is proven">
          <h2>The entry</h2>
          {typeof text === 'string' ? (
            <p>
              What is sealed in it reads <q>{text}</q>, as the server opens it; the proof is of the sealed
              form.
            </p>
          ) : null}
          <pre class="block">{pretty(entry)}</pre>
          <div class="row">
            <button
              class="button"
              type="button"
              onClick={() => download(`proof-${partition}-${offset}.json`, file)}
            >
              <Icon name="down" />
              Download the proof
            </button>
          </div>
        </section>
      </div>
    </>
  );
}

function pretty(entry: string | undefined): string {
  try {
    return JSON.stringify(JSON.parse(entry ?? ''), null, 2);
  } catch {
    // Changed until it is no JSON: as it is.
    return entry ?? 'none';
  }
}
