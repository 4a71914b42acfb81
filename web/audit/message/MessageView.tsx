import { FailureNotice } from '../../console/FailureNotice.js';
import './message.css';
import { useRef, useState } from 'preact/hooks';
import { describeError } from '../../console/consoleApi.js';
import { goTo, type Query } from '../../console/route.js';
import { UserName } from '../../console/userNames.js';
import { hasWebCrypto } from '../../ui/browser.js';
import { formatUtcMs } from '../../ui/format.js';
import { useRequest } from '../../ui/hooks.js';
import type { EventRow } from '../auditTypes.js';
import { useConsole } from '../consoleContext.js';
import { ExportButtons } from '../ExportButtons.js';
import { NameField, suggestGroups, valueNamed } from '../events/NameField.js';
import { sourceOf } from '../exportNames.js';
import { fetchProof } from '../proof/fetchProof.js';
import { RoomName } from '../RoomName.js';
import { hrefOf } from '../route.js';
import { type Outcome, outcomeOf } from '../verify/verification.js';
import { deedOf, type MessageHistory, type MessagePlace, readHistory } from './readHistory.js';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const SEQ = /^[1-9]\d{0,14}$/;

/** One message over time: its texts, who changed it, and the proof of each event. */
export function MessageView({ query }: { readonly query: Query }) {
  const { api } = useConsole();
  const { room = '', seq = '', since } = query;
  const place: MessagePlace | undefined =
    UUID.test(room) && SEQ.test(seq) ? { roomId: room.toLowerCase(), seq: Number(seq), since } : undefined;
  const key = place && `${place.roomId}/${seq} ${since ?? ''}`;
  const request = useRequest<MessageHistory | undefined>(
    key,
    async (signal) => place && readHistory(api, place, signal),
  );
  const history = request.state === 'ready' ? request.value : undefined;
  return (
    <>
      <PlaceForm key={`${room}/${seq}`} room={room} seq={seq} />
      {place || (room === '' && seq === '') ? null : (
        <p class="notice bad" role="alert">
          Choose a group from those that are found, or enter the ID of a room and a message number.
        </p>
      )}
      {place ? null : (
        <p class="quiet">
          Open an event of a message, or a room at a point in time, and select “History of this message”.
        </p>
      )}
      {place && request.state === 'loading' ? <p role="status">Reading the room’s events…</p> : null}
      {request.state === 'failed' ? <FailureNotice error={request.error} /> : null}
      {place && history?.events.length === 0 ? (
        <p role="status">The log has no message {seq} in this room.</p>
      ) : null}
      {place && history && history.events.length > 0 ? <History place={place} history={history} /> : null}
    </>
  );
}

function PlaceForm({ room, seq }: { readonly room: string; readonly seq: string }) {
  const form = useRef<HTMLFormElement>(null);
  const { names } = useConsole();
  const show = async (event: Event): Promise<void> => {
    event.preventDefault();
    const data = new FormData(form.current ?? undefined);
    const text = String(data.get('room')).trim();
    // A text that is no exact name stays in the address, and the view says what it needs.
    const named = UUID.test(text)
      ? undefined
      : await names.find(text).then(
          (found) => valueNamed(text, suggestGroups(found)),
          () => undefined,
        );
    goTo(hrefOf('message', { room: named ?? text, seq: String(data.get('seq')) }));
  };
  return (
    <form ref={form} class="panel choose" onSubmit={(event) => void show(event)} aria-label="Message">
      <div class="grow">
        <NameField
          {...{ name: 'room', label: 'Room', value: room, hint: 'a name of a group, or a room ID' }}
          isValue={(text) => UUID.test(text.trim())}
          suggest={suggestGroups}
          nameOf={(id) => <RoomName id={id.trim().toLowerCase()} />}
        />
      </div>
      <div class="field">
        <label for="seq">Message number (seq)</label>
        <input class="input" id="seq" name="seq" type="number" min={1} step={1} required defaultValue={seq} />
      </div>
      <button class="button primary" type="submit">
        Show
      </button>
    </form>
  );
}

/** The outcome of an event's proof; the reason if it could not be had. */
type Proven = Outcome | { readonly error: unknown };

interface HistoryProps {
  readonly place: MessagePlace;
  readonly history: MessageHistory;
}

function History({ place: { roomId, seq }, history: { events, isCut } }: HistoryProps) {
  const { api, witness } = useConsole();
  const [proofs, setProofs] = useState<ReadonlyMap<string, Proven>>(new Map());
  const [isVerifying, setVerifying] = useState(false);
  const verify = async (): Promise<void> => {
    setVerifying(true);
    // One after the other: each is several requests, and the server has others to serve.
    for (const event of events) {
      const trustedKeys = witness.get().state.partitions[event.partition]?.keys;
      const proven: Proven = await fetchProof(api, event, trustedKeys, new AbortController().signal).then(
        ({ steps }) => outcomeOf(steps),
        (error: unknown) => ({ error }),
      );
      setProofs((before) => new Map(before).set(keyOf(event), proven));
    }
    setVerifying(false);
  };
  return (
    <section class="panel" aria-label={`Message ${seq}`}>
      <h2>
        Message {seq}: <RoomName id={roomId} />
      </h2>
      <div class="row">
        <button
          class="button primary"
          type="button"
          onClick={() => void verify()}
          disabled={isVerifying || !hasWebCrypto()}
        >
          Verify all proofs
        </button>
        <ExportButtons
          of={['message', String(seq), { stream: `room:${roomId}` }]}
          rows={events.map(sourceOf)}
        />
      </div>
      {isCut ? <p class="notice">Only the first {events.length} events are shown.</p> : null}
      <ol class="history">
        {events.map((event) => (
          <HistoryEvent key={keyOf(event)} event={event} proven={proofs.get(keyOf(event))} />
        ))}
      </ol>
    </section>
  );
}

const keyOf = ({ partition, offset }: EventRow): string => `${partition}/${offset}`;

const outcomeTexts: Readonly<Record<Outcome, string>> = {
  passed: 'proof valid',
  failed: 'proof invalid',
  unable: 'signature not checked',
};

interface EventProps {
  readonly event: EventRow;
  readonly proven: Proven | undefined;
}

function HistoryEvent({ event, proven }: EventProps) {
  const { type, data, actor, recordedAt, partition, offset } = event;
  const position = { partition: String(partition), offset: String(offset) };
  return (
    <li data-type={type}>
      <p>
        <strong>
          <UserName id={actor} />
        </strong>{' '}
        {deedOf(event)} <time dateTime={recordedAt}>{formatUtcMs(recordedAt)}</time>
      </p>
      {'text' in data ? (
        <blockquote dir="auto">
          {typeof data.text === 'string' ? data.text : <em>The key of this text is destroyed.</em>}
        </blockquote>
      ) : null}
      <p class="row">
        <a href={hrefOf('proof', position)}>
          Proof of partition {partition}, offset {offset}
        </a>
        {proven === undefined ? null : <ProofBadge proven={proven} />}
      </p>
    </li>
  );
}

function ProofBadge({ proven }: { readonly proven: Proven }) {
  if (typeof proven === 'object')
    return (
      <span class="badge warning" role="status">
        no proof: {describeError(proven.error)}
      </span>
    );
  const look = { passed: 'good', failed: 'bad', unable: 'warning' }[proven];
  return (
    <span class={`badge ${look}`} role="status">
      {outcomeTexts[proven]}
    </span>
  );
}
