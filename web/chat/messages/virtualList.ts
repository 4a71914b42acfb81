import {
  defaultRangeExtractor,
  elementScroll,
  observeElementOffset,
  observeElementRect,
  type Range,
  Virtualizer,
  type VirtualizerOptions,
} from '@tanstack/virtual-core';
import { useCallback, useLayoutEffect, useReducer, useState } from 'preact/hooks';
import type { EndFollower } from './endFollower.js';

type Options = VirtualizerOptions<HTMLElement, HTMLElement>;
type RowOptions = Pick<Options, 'count' | 'getScrollElement' | 'estimateSize' | 'getItemKey'>;

/**
 * A virtual list: only visible rows are in the page. While the end is followed, the follower alone scrolls. Otherwise
 * rows that are inserted before the first one do not move the visible ones.
 *
 * @param kept the index of a row that is in the page wherever the view is
 */
export function useVirtualList(
  rows: RowOptions,
  follower: EndFollower,
  kept: number | undefined,
): Virtualizer<HTMLElement, HTMLElement> {
  const [, render] = useReducer((n: number) => n + 1, 0);
  const options: Options = {
    ...rows,
    overscan: 8,
    // Another function has the list choose its rows again.
    rangeExtractor: useCallback((range: Range) => withRow(kept, defaultRangeExtractor(range)), [kept]),
    anchorTo: follower.isFollowing ? 'start' : 'end',
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset: (list, onOffset) =>
      observeElementOffset(list, (offset, isScrolling) => {
        follower.onScroll(isScrolling);
        onOffset(offset, isScrolling);
      }),
    onChange: () => render(undefined),
  };
  const [list] = useState(() => {
    const virtualizer = new Virtualizer(options);
    // A row above the view that changes its height must not move the view, in whichever direction it scrolls.
    virtualizer.shouldAdjustScrollPositionOnItemSizeChange = (item, _, { scrollOffset }) =>
      !follower.isFollowing && item.start < (scrollOffset ?? 0);
    return virtualizer;
  });
  list.setOptions(options);
  useLayoutEffect(() => list._didMount(), [list]);
  useLayoutEffect(() => {
    list._willUpdate();
    follower.hold();
  });
  return list;
}

/** The indexes and this one, in order. */
function withRow(index: number | undefined, indexes: number[]): number[] {
  if (index === undefined || indexes.includes(index)) return indexes;
  return index < (indexes[0] ?? 0) ? [index, ...indexes] : [...indexes, index];
}
