import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  Virtualizer,
  type VirtualizerOptions,
} from '@tanstack/virtual-core';
import { useLayoutEffect, useReducer, useState } from 'preact/hooks';

type Options = VirtualizerOptions<HTMLElement, HTMLElement>;
type Given = Pick<Options, 'count' | 'getScrollElement' | 'estimateSize' | 'getItemKey'>;

/**
 * A list of which only what is seen is in the page. It is held at its end: what comes there is followed by whoever
 * is there, and what is put before the beginning moves nothing that is seen.
 */
export function useVirtual(given: Given): Virtualizer<HTMLElement, HTMLElement> {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  const options: Options = {
    ...given,
    overscan: 8,
    anchorTo: 'end',
    followOnAppend: true,
    scrollEndThreshold: 40,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    onChange: () => draw(undefined),
  };
  const [list] = useState(() => {
    const made = new Virtualizer(options);
    // What changes above the view moves nothing in it, whichever way one scrolls.
    made.shouldAdjustScrollPositionOnItemSizeChange = (item, _, { scrollOffset }) =>
      item.start < (scrollOffset ?? 0);
    return made;
  });
  list.setOptions(options);
  useLayoutEffect(() => list._didMount(), [list]);
  useLayoutEffect(() => list._willUpdate());
  return list;
}
