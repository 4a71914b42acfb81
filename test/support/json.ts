/** The value at these names in a JSON value; undefined where there is none. */
export const at = (json: unknown, ...names: readonly (string | number)[]): unknown =>
  names.reduce<unknown>(
    (value, name) => (typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined),
    json,
  );
