import { useState } from 'preact/hooks';
import { Question } from '../../console/Dialog.js';
import { useVisitor } from '../adminContext.js';
import { ShownOnce } from '../ShownOnce.js';

/** What each scope permits. */
const scopes = {
  users: 'create and read users; their tokens, friends, blocks, suspension and erasure',
  rooms: 'create and read rooms, and change their members',
  messages: 'send, delete and read messages',
  events: 'receive the events of the log',
} as const;

interface Props {
  readonly onClose: () => void;
  /** Called when the key is made. */
  readonly onDone: () => void;
}

/** Asks for the purpose and the scopes of a new key, makes it, and shows it once. */
export function AddKey({ onClose, onDone }: Props) {
  const { api } = useVisitor();
  const [made, setMade] = useState<{ readonly name: string; readonly key: string }>();
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const toggle = (scope: string): void =>
    setChosen(chosen.includes(scope) ? chosen.filter((each) => each !== scope) : [...chosen, scope]);
  const add = async (fields: FormData): Promise<void> => {
    const name = String(fields.get('name')).trim();
    const { key } = await api.send<{ key: string }>('POST', '/admin/keys', { name, scopes: chosen });
    setMade({ name, key });
    onDone();
  };
  if (made)
    return (
      <ShownOnce title={`The key of ${made.name}`} secret={made.key} onClose={onClose}>
        <p>Give this key to the server of your application. It is shown only now.</p>
      </ShownOnce>
    );
  return (
    <Question
      title="Make a server key"
      action="Make the key"
      isDisabled={chosen.length === 0}
      onClose={onClose}
      staysOpen
      onConfirm={add}
    >
      <div class="field">
        <label for="name">Purpose</label>
        <input class="input" id="name" name="name" required maxlength={64} autocomplete="off" dir="auto" />
        <span class="hint">A name by which you know the key in the list.</span>
      </div>
      <fieldset class="scopes">
        <legend>What it permits</legend>
        {Object.entries(scopes).map(([scope, about]) => (
          <label key={scope} class="check">
            <input type="checkbox" checked={chosen.includes(scope)} onChange={() => toggle(scope)} />
            <span>
              <strong>{scope}</strong>: {about}
            </span>
          </label>
        ))}
      </fieldset>
      <p class="quiet">The log records who makes a key. No key acts for a user who has a role.</p>
    </Question>
  );
}
