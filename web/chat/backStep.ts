import { useLayoutEffect, useRef } from 'preact/hooks';

/**
 * Each open dialog, menu and picker has a step of its own in the history, so that the Back button of a phone closes it
 * and not the room behind it. Closed otherwise, its step stays, for the next one: to go back takes time, in which the
 * user may have opened a room. Back then passes over the step.
 */
interface Step {
  /** How many boxes were open in this step, of the same address. */
  readonly boxes: number;
}

const isStep = (state: unknown): state is Step =>
  typeof state === 'object' && state !== null && 'boxes' in state && typeof state.boxes === 'number';

const boxesOf = (state: unknown): number => (isStep(state) ? state.boxes : 0);

interface Before {
  readonly address: string;
  readonly boxes: number;
}

const present = (): Before => ({ address: location.href, boxes: boxesOf(history.state) });

/** What closes each open box, the topmost last. */
const open: (() => void)[] = [];
let before = present();

addEventListener('popstate', () => {
  const now = present();
  const isBack = now.address === before.address && now.boxes < before.boxes;
  before = now;
  const close = open.at(-1);
  if (close) close();
  else if (isBack) history.back();
});

/** Gives Back to a box as long as the component is there. */
export function useBackCloses(onBack: () => void): void {
  const latest = useRef(onBack);
  latest.current = onBack;
  // At once: Back may be pressed as soon as the box is seen.
  useLayoutEffect(() => {
    const close = (): void => latest.current();
    open.push(close);
    if (boxesOf(history.state) < open.length)
      history.pushState({ boxes: open.length } satisfies Step, '', location.href);
    before = present();
    return () => {
      open.splice(open.indexOf(close), 1);
    };
  }, []);
}

/** As a component, for a box that has several layers. */
export function BackStep({ onBack }: { readonly onBack: () => void }) {
  useBackCloses(onBack);
  return null;
}

/** Changes the address, in a step of its own or in place of the present one. */
export function changeAddress(address: string, isStepAdded: boolean): void {
  // The step of a box that has closed is free.
  if (isStepAdded && boxesOf(history.state) === 0) history.pushState(null, '', address);
  else history.replaceState(null, '', address);
  before = present();
}
