import type { Page } from 'playwright-core';

/**
 * The texts that are drawn over each other in what the page shows, a line each pair: to be empty. A text behind a
 * box of its own background, such as a menu, does not count, and only the topmost dialog is looked at.
 */
export const overlaps = (page: Page): Promise<readonly string[]> =>
  page.evaluate(() => {
    interface Box {
      readonly element: Element;
      readonly text: string;
      readonly left: number;
      readonly top: number;
      readonly right: number;
      readonly bottom: number;
    }
    /** By how many pixels letters may touch: a line is higher than what is drawn of it. */
    const slack = 3;
    const root = [...document.querySelectorAll('dialog[open]')].at(-1) ?? document.body;

    const isClipping = (element: Element): boolean => getComputedStyle(element).overflow !== 'visible';
    /** What is visible of a rectangle within the boxes that cut it off. */
    const visiblePart = (rect: DOMRect, element: Element): Omit<Box, 'element' | 'text'> => {
      let { left, top, right, bottom } = rect;
      for (let at: Element | null = element; at; at = at.parentElement) {
        if (!isClipping(at)) continue;
        const clip = at.getBoundingClientRect();
        [left, top] = [Math.max(left, clip.left), Math.max(top, clip.top)];
        [right, bottom] = [Math.min(right, clip.right), Math.min(bottom, clip.bottom)];
      }
      return { left, top, right: Math.min(right, innerWidth), bottom: Math.min(bottom, innerHeight) };
    };
    const boxesOf = (node: Node): readonly Box[] => {
      const element = node.parentElement;
      const text = node.textContent?.trim() ?? '';
      if (!element || text === '') return [];
      if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return [];
      const range = document.createRange();
      range.selectNodeContents(node);
      return [...range.getClientRects()]
        .map((rect) => ({ element, text, ...visiblePart(rect, element) }))
        .filter(({ left, top, right, bottom }) => right - left > slack && bottom - top > slack);
    };
    /** Whether a box of its own background lifts an element above its surroundings, up to `within`. */
    const isAbove = (element: Element, within: Element): boolean => {
      for (let at: Element | null = element; at && at !== within; at = at.parentElement) {
        const { position, backgroundColor } = getComputedStyle(at);
        const isDrawn = backgroundColor !== 'rgba(0, 0, 0, 0)' && backgroundColor !== 'transparent';
        if (isDrawn && ['fixed', 'sticky', 'absolute'].includes(position)) return true;
      }
      return false;
    };
    const commonParent = (a: Element, b: Element): Element => {
      let at = a;
      while (!at.contains(b) && at.parentElement) at = at.parentElement;
      return at;
    };

    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const boxes: Box[] = [];
    while (walker.nextNode()) boxes.push(...boxesOf(walker.currentNode));
    const found = new Set<string>();
    for (const [i, a] of boxes.entries())
      for (const b of boxes.slice(i + 1)) {
        if (a.element === b.element) continue;
        const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (width <= slack || height <= slack) continue;
        const parent = commonParent(a.element, b.element);
        if (!isAbove(a.element, parent) && !isAbove(b.element, parent))
          found.add(`"${a.text}" and "${b.text}"`);
      }
    return [...found];
  });
