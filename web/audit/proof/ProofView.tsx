import { useRef } from 'preact/hooks';
import { describeError } from '../../console/consoleApi.js';
import { goTo } from '../../console/route.js';
import { downloadJson, hasWebCrypto } from '../../ui/browser.js';
import { useRequest } from '../../ui/hooks.js';
import { Icon } from '../../ui/icons.js';
import { useConsole } from '../consoleContext.js';
import { hrefOf } from '../route.js';
import { type EventProof, fetchProof, NoSuchEvent, type Position, requireEvent } from './fetchProof.js';
import { Verdict, VerificationSteps } from './VerificationSteps.js';

const INTEGER = /^(?:0|[1-9]\d{0,14})$/;

interface Props {
  readonly query: Readonly<Record<string, string>>;
}

/** The inclusion proof of one event, verified in this browser. */
export function ProofView({ query }: Props) {
  const { api, witness } = useConsole();
  const { partition = '', offset = '' } = query;
  const canVerify = INTEGER.test(partition) && INTEGER.test(offset) && hasWebCrypto();
  const position: Position = { partition: Number(partition), offset: Number(offset) };
  const trustedKeys = () => witness.get().state.partitions[position.partition]?.keys;
  const request = useRequest(canVerify ? `${partition}/${offset}` : undefined, async (signal) => {
    await requireEvent(api, position, signal);
    return fetchProof(api, position, trustedKeys(), signal);
  });
  return (
    <>
      <PositionForm key={`${partition}/${offset}`} partition={partition} offset={offset} />
      {canVerify ? null : (
        <p class="quiet">
          Enter the partition and the offset of an event. Or open an event in the search and select “Verify
          proof”.
        </p>
      )}
      {canVerify && request.state === 'loading' ? (
        <p role="status">Loading and verifying the proof…</p>
      ) : null}
      {request.state === 'failed' ? (
        <p class="notice bad" role="alert">
          {request.error instanceof NoSuchEvent ? request.error.message : describeError(request.error)}
        </p>
      ) : null}
      {request.state === 'ready' ? <ProofResult proof={request.value} position={position} /> : null}
    </>
  );
}

function PositionForm({ partition, offset }: { readonly partition: string; readonly offset: string }) {
  const form = useRef<HTMLFormElement>(null);
  const verify = (event: Event): void => {
    event.preventDefault();
    const data = new FormData(form.current ?? undefined);
    goTo(hrefOf('proof', { partition: String(data.get('partition')), offset: String(data.get('offset')) }));
  };
  const numberField = (name: string, label: string, value: string) => (
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
    <form ref={form} class="panel choose" onSubmit={verify}>
      {numberField('partition', 'Partition', partition === '' ? '0' : partition)}
      {numberField('offset', 'Offset', offset)}
      <button class="button primary" type="submit">
        Verify proof
      </button>
    </form>
  );
}

interface ProofResultProps {
  readonly proof: EventProof;
  readonly position: Position;
}

function ProofResult({ proof: { steps, entry, event, file }, position }: ProofResultProps) {
  const text = event?.data.text ?? event?.data.username;
  return (
    <>
      <Verdict steps={steps} />
      <div class="proof">
        <section aria-label="Verification steps">
          <h2>Verification steps, computed in this browser</h2>
          <VerificationSteps steps={steps} />
        </section>
        <section class="panel" aria-label="Log entry">
          <h2>Log entry</h2>
          {typeof text === 'string' ? (
            <p>
              The server decrypts the sealed text as <q dir="auto">{text}</q>. The proof covers only the
              encrypted text below.
            </p>
          ) : null}
          <pre class="block">{indented(entry)}</pre>
          <div class="row">
            <button
              class="button"
              type="button"
              onClick={() => downloadJson(`proof-${position.partition}-${position.offset}.json`, file)}
            >
              <Icon name="down" />
              Download proof
            </button>
          </div>
        </section>
      </div>
    </>
  );
}

function indented(entry: string | undefined): string {
  try {
    return JSON.stringify(JSON.parse(entry ?? ''), null, 2);
  } catch {
    // A changed entry may no longer be JSON.
    return entry ?? 'none';
  }
}
