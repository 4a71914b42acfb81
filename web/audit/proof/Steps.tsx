import './proof.css';
import { Icon } from '../../ui/icons.js';
import type { Outcome, Step } from '../verify/steps.js';

const said: Readonly<Record<Outcome, string>> = { passed: 'right', failed: 'wrong', unable: 'not checked' };
const icons = { passed: 'sent', failed: 'close', unable: 'waiting' } as const;

/** What was checked, one after the other, with its hashes. */
export function Steps({ steps }: { readonly steps: readonly Step[] }) {
  return (
    <ol class="steps">
      {steps.map(({ title, says, outcome, values }) => (
        <li key={title} class={outcome}>
          <span class="mark">
            <Icon name={icons[outcome]} />
          </span>
          <div>
            <h3>
              {title} <span class="outcome">{said[outcome]}</span>
            </h3>
            <p>{says}</p>
            <dl class="values">
              {values.map(([name, value]) => (
                <div key={name}>
                  <dt>{name}</dt>
                  <dd class="mono">{value}</dd>
                </div>
              ))}
            </dl>
          </div>
        </li>
      ))}
    </ol>
  );
}
