import { useLayoutEffect, useState } from 'preact/hooks';

/** When scrolling stops this near to the end, the view goes to the end. Less than the smallest step of a reader, 40 px. */
const NEAR_END_PX = 24;
/** Browsers round heights and positions of scrolled elements differently. */
const ROUNDING_PX = 1;

/** The three numbers of a scrolled element that tell where its end is. */
type Scrolled = Pick<Element, 'scrollTop' | ScrolledHeight>;
type ScrolledHeight = 'scrollHeight' | 'clientHeight';

/**
 * Keeps the view of a list at its end until the reader scrolls up. Everything that moves the end is the same to it: a
 * row that comes or is measured, a keyboard, a longer draft, a banner, another width of the window.
 */
export class EndFollower {
  #isFollowing = true;
  #hasEnd = true;
  /** As of the last look. */
  #top = 0;
  #end = 0;

  constructor(private readonly element: () => Scrolled | null) {}

  get isFollowing(): boolean {
    return this.#isFollowing && this.#hasEnd;
  }

  /** Whether the end of the list is that of the conversation: only that is followed, and not the end of an earlier part. */
  set hasEnd(hasEnd: boolean) {
    if (this.#hasEnd && !hasEnd) this.#isFollowing = false;
    this.#hasEnd = hasEnd;
  }

  /** Goes to the end and follows it from now on. */
  follow(): void {
    this.#isFollowing = true;
    this.hold();
  }

  /** Leaves the end, before the page itself scrolls to another place. */
  leave(): void {
    this.#isFollowing = false;
  }

  /** To be called at each scroll event, before anything is drawn. */
  onScroll(isScrolling: boolean): void {
    const element = this.#look();
    if (element && this.#hasEnd && !isScrolling && distanceFromEnd(element) <= NEAR_END_PX)
      this.#isFollowing = true;
  }

  /** Goes to the end while it is followed. To be called after each change of the list or of its room. */
  hold(): void {
    const element = this.#look();
    if (!element || !this.isFollowing || distanceFromEnd(element) === 0) return;
    // The browser limits it to the end, which may have a fraction of a pixel.
    element.scrollTop = element.scrollHeight;
    this.#look();
  }

  /**
   * Sees whether the reader has scrolled. A view that lost room or content is moved up too, but only to its end: a
   * view above both the end of the last look and the present one was moved by the reader.
   */
  #look(): Scrolled | null {
    const element = this.element();
    if (!element) return null;
    const end = endOf(element);
    const top = element.scrollTop;
    if (this.#hasEnd && top >= end - ROUNDING_PX && top > this.#top) this.#isFollowing = true;
    else if (top < Math.min(this.#top, this.#end, end) - ROUNDING_PX) this.#isFollowing = false;
    this.#top = top;
    this.#end = end;
    return element;
  }
}

const endOf = ({ scrollHeight, clientHeight }: Pick<Scrolled, ScrolledHeight>): number =>
  Math.max(0, scrollHeight - clientHeight);

/** How far the view is above the end, in px. */
export const distanceFromEnd = (element: Scrolled): number => Math.max(0, endOf(element) - element.scrollTop);

/** A follower of this element's end, which also holds it when the element's size changes. */
export function useEndFollower(element: () => HTMLElement | null): EndFollower {
  const [follower] = useState(() => new EndFollower(element));
  useLayoutEffect(() => {
    const scroller = element();
    if (!scroller) return;
    const observer = new ResizeObserver(() => follower.hold());
    observer.observe(scroller);
    return () => observer.disconnect();
  }, [follower]);
  return follower;
}
