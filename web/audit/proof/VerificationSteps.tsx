import './proof.css';
import { Icon } from '../../ui/icons.js';
import { type Outcome, outcomeOf, type Step } from '../verify/verification.js';

const verdicts: Readonly<Record<Outcome, string>> = {
  passed: 'Proof valid: the signed log contains this event at this position.',
  failed: 'Proof invalid: at least one verification step failed.',
  unable: 'Undecided: this browser cannot verify Ed25519 signatures. All hashes are correct.',
};

/** The result of all verification steps together. */
export function Verdict({ steps }: { readonly steps: readonly Step[] }) {
  const outcome = outcomeOf(steps);
  return (
    <div class={`verdict ${outcome}`} role={outcome === 'failed' ? 'alert' : 'status'}>
      <Icon name={outcome === 'passed' ? 'sent' : 'refused'} />
      <p>{verdicts[outcome]}</p>
    </div>
  );
}

const outcomeTexts: Readonly<Record<Outcome, string>> = {
  passed: 'passed',
  failed: 'failed',
  unable: 'not checked',
};
const icons = { passed: 'sent', failed: 'close', unable: 'waiting' } as const;

/** The verification steps in order, with their hashes. */
export function VerificationSteps({ steps }: { readonly steps: readonly Step[] }) {
  return (
    <ol class="steps">
      {steps.map(({ title, text, outcome, values }) => (
        <li key={title} class={outcome}>
          <span class="mark">
            <Icon name={icons[outcome]} />
          </span>
          <div>
            <h3>
              {title} <span class="outcome">{outcomeTexts[outcome]}</span>
            </h3>
            <p>{text}</p>
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
