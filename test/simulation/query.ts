/** A document of the simulated database. */
export type Document = { readonly _id: unknown } & Readonly<Record<string, unknown>>;
type Fields = Readonly<Record<string, unknown>>;

/**
 * The part of MongoDB's query language that the product uses on its cluster's documents. Everything else
 * throws, so that nothing passes by mistake. `now` is the database's clock.
 */
export function matches(document: Document, filter: Fields, now: Date): boolean {
  return Object.entries(filter).every(([key, wanted]) => {
    // These operators take a list of filters, or an expression, as in MongoDB.
    if (key === '$or') return (wanted as Fields[]).some((each) => matches(document, each, now));
    if (key === '$expr') return isTrue(evaluate(wanted, document, now));
    return isWanted(document[key] ?? null, wanted);
  });
}

/** The document after an update: an object with `$set` and literal values, or a pipeline of such stages. */
export function updated<T extends Document>(document: T, update: Fields | readonly Fields[], now: Date): T {
  const isPipeline = Array.isArray(update);
  let after = document;
  for (const stage of isPipeline ? (update as readonly Fields[]) : [update as Fields]) {
    const { $set, ...others } = stage;
    if (!$set || Object.keys(others).length > 0) throw unknown(stage);
    const before = after;
    const set = Object.entries($set as Fields).map(([key, value]) => [
      key,
      isPipeline ? evaluate(value, before, now) : value,
    ]);
    after = { ...before, ...Object.fromEntries(set) };
  }
  return after;
}

/** The documents that come out of a pipeline. */
export function aggregated(
  documents: readonly Document[],
  pipeline: readonly Fields[],
  now: Date,
): Document[] {
  return pipeline.reduce<Document[]>(
    (before, stage) => {
      if (stage.$match) return before.filter((each) => matches(each, stage.$match as Fields, now));
      if (stage.$set) return before.map((each) => updated(each, [stage], now));
      if (stage.$sort) return before.toSorted(order(stage.$sort as Readonly<Record<string, 1 | -1>>));
      throw unknown(stage);
    },
    [...documents],
  );
}

/** Orders by the value of each field in turn; 1 is ascending. */
export const order =
  (by: Readonly<Record<string, 1 | -1>>) =>
  (a: Document, b: Document): number => {
    for (const [key, direction] of Object.entries(by)) {
      const [x, y] = [scalar(a[key]), scalar(b[key])];
      if (x !== y) return x < y ? -direction : direction;
    }
    return 0;
  };

function isWanted(value: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null || wanted instanceof Date) return value === wanted;
  if (isDocument(wanted)) return isDocument(value) && keyOf(value) === keyOf(wanted);
  return Object.entries(wanted).every(([operator, operand]) => {
    if (operator === '$ne') return value !== operand;
    if (operator === '$gt') return scalar(value) > scalar(operand);
    if (operator === '$lt') return scalar(value) < scalar(operand);
    if (operator === '$in') return (operand as readonly unknown[]).includes(value);
    if (operator === '$exists') return (value !== null) === operand;
    throw unknown(wanted);
  });
}

function evaluate(expression: unknown, document: Document, now: Date): unknown {
  if (expression === '$$NOW') return now;
  if (typeof expression === 'string' && expression.startsWith('$'))
    return expression
      .slice(1)
      .split('.')
      .reduce<unknown>((value, key) => (isDocument(value) ? value[key] : undefined), document);
  if (typeof expression !== 'object' || expression === null || expression instanceof Date) return expression;
  if (isDocument(expression))
    return Object.fromEntries(
      Object.entries(expression).map(([key, value]) => [key, evaluate(value, document, now)]),
    );
  const [operator = '', operand] = Object.entries(expression)[0] ?? [];
  if (operator === '$literal') return operand;
  // A single operand needs no list.
  const values = [operand].flat().map((each) => evaluate(each, document, now));
  const [first, second, third] = values;
  switch (operator) {
    case '$add': {
      const sum = Number(first) + Number(second);
      return first instanceof Date ? new Date(sum) : sum;
    }
    case '$subtract':
      return Number(first) - Number(second);
    case '$max':
      return values.reduce((a, b) => (scalar(b) > scalar(a) ? b : a));
    case '$ifNull':
      return first ?? second;
    case '$cond':
      return isTrue(first) ? second : third;
    case '$or':
      return values.some(isTrue);
    case '$and':
      return values.every(isTrue);
    case '$eq':
      return (first ?? null) === (second ?? null);
    case '$not':
      return !isTrue(first);
    case '$lt':
      return scalar(first) < scalar(second);
    case '$lte':
      return scalar(first) <= scalar(second);
    case '$gt':
      return scalar(first) > scalar(second);
    case '$gte':
      return scalar(first) >= scalar(second);
    default:
      throw unknown(expression);
  }
}

/** Whether the value is a document, which is compared as a whole, and not a list of operators. */
const isDocument = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' &&
  value !== null &&
  !(value instanceof Date) &&
  !Object.keys(value).some((key) => key.startsWith('$'));

/** The value as a key of a `Map`. Keys of documents sort as MongoDB sorts documents: field by field. */
export function keyOf(value: unknown): unknown {
  if (!isDocument(value)) return value;
  const fields = Object.values(value);
  if (!fields.every((each) => Number.isInteger(each) && Number(each) >= 0)) throw unknown(value);
  return fields.map((each) => String(each).padStart(12, '0')).join('/');
}

const isTrue = (value: unknown): boolean =>
  value !== false && value !== null && value !== undefined && value !== 0;

/** Throws unless the value can be compared with others of its kind. */
export function scalar(value: unknown): number | string {
  if (typeof value === 'number' || typeof value === 'string') return value;
  if (value instanceof Date) return value.getTime();
  const key = keyOf(value);
  if (typeof key === 'string') return key;
  throw unknown(value);
}

/** The product used a feature that the simulated database lacks. */
export class NotSimulated extends Error {
  override readonly name = 'NotSimulated';
}

const unknown = (what: unknown): Error =>
  new NotSimulated(`the simulated database does not know ${JSON.stringify(what)}`);
