import type { ComponentChildren } from 'preact';

interface FieldProps {
  readonly name: string;
  readonly children: ComponentChildren;
}

/** One line of a list of facts, `<dl class="fields">`. */
export function Field({ name, children }: FieldProps) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
