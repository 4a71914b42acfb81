import type { ComponentChildren } from 'preact';
import type { Visitor } from './Gate.js';
import { PageMenu } from './PageMenu.js';
import { addressOf } from './route.js';

interface Props<V extends string> {
  /** After the name of the product. */
  readonly name: string;
  readonly path: '/admin' | '/audit';
  readonly visitor: Visitor;
  readonly view: V;
  /** The views that the visitor may open, with their titles. */
  readonly titles: readonly (readonly [V, string])[];
  /** Above the view, such as alarms. */
  readonly above?: ComponentChildren;
  readonly children: ComponentChildren;
}

/** The header with the views and the links to other pages, and below it the open view. */
export function ConsoleFrame<V extends string>(props: Props<V>) {
  const { name, path, visitor, view, titles, above, children } = props;
  return (
    <>
      <header class="top">
        <p class="brand">
          Parley <span>{name}</span>
        </p>
        <nav class="views" aria-label="Views">
          <ul>
            {titles.map(([each, title]) => (
              <li key={each}>
                <a href={addressOf(each)} aria-current={each === view ? 'page' : undefined}>
                  {title}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <PageMenu visitor={visitor} current={path} />
      </header>
      {above}
      <main>
        <h1>{titles.find(([each]) => each === view)?.[1]}</h1>
        {children}
      </main>
    </>
  );
}
