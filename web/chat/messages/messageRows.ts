import type { Entry } from '@parley/client';
import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  Virtualizer,
  type VirtualizerOptions,
} from '@tanstack/virtual-core';
import { useLayoutEffect, useReducer, useState } from 'preact/hooks';
import { startOfDay } from '../../ui/format.js';
import type { EndFollower } from './endFollower.js';

/**
 * A message of the list, with a heading if it is the first of its day. The heading is not a row of its own: it would
 * stay the first row when earlier messages are inserted, and the list would hold its scroll position at it.
 */
export interface Row {
  readonly key: string;
  readonly entry: Entry;
  /** The time to name in the heading, in ISO 8601. */
  readonly day: string | undefined;
}

/** The message id: the same while the message is sending, stored or refused. */
export const idOf = (entry: Entry): string =>
  entry.state === 'stored' ? entry.message.messageId : entry.messageId;

/** The server's time of a stored message; else when the user wrote it. */
export const timeOf = (entry: Entry): string =>
  entry.state === 'stored' ? entry.message.sentAt : entry.queuedAt;

/** The text; `null` if the message was erased. */
export const textOf = (entry: Entry): string | null =>
  entry.state === 'stored' ? entry.message.message : entry.message;

/**
 * The rows of a room in the order of its entries. Until the history is complete the first row has no heading: it
 * would disappear with the next page and move the visible messages.
 */
export function rowsOf(entries: readonly Entry[], isComplete: boolean): readonly Row[] {
  let day: number | undefined;
  return entries.map((entry, i) => {
    const time = timeOf(entry);
    const isNewDay = startOfDay(time) !== day;
    day = startOfDay(time);
    return { key: idOf(entry), entry, day: isNewDay && (isComplete || i > 0) ? time : undefined };
  });
}

/** The highest stored seq up to this row; 0 if there is none. */
export function newestSeq(rows: readonly Row[], lastIndex = -1): number {
  for (let i = Math.min(lastIndex, rows.length - 1); i >= 0; i--) {
    const row = rows[i];
    if (row?.entry.state === 'stored') return row.entry.message.seq;
  }
  return 0;
}

type Options = VirtualizerOptions<HTMLElement, HTMLElement>;
type RowOptions = Pick<Options, 'count' | 'getScrollElement' | 'estimateSize' | 'getItemKey'>;

/**
 * A virtual list: only visible rows are in the page. While the end is followed, the follower alone scrolls. Otherwise
 * rows that are inserted before the first one do not move the visible ones.
 */
export function useVirtualList(
  rows: RowOptions,
  follower: EndFollower,
): Virtualizer<HTMLElement, HTMLElement> {
  const [, render] = useReducer((n: number) => n + 1, 0);
  const options: Options = {
    ...rows,
    overscan: 8,
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
