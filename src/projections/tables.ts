import type { AnyModel } from './rows.js';

/** The name of a model's table or collection: one a version, so that versions stand beside each other. */
export const tableOf = (model: Pick<AnyModel, 'name' | 'version'>): string =>
  `${model.name}_v${model.version}`;

/**
 * The same model in a table of its own, into which it is built anew. Generation 0 is the model itself.
 * Everything but the name is the model's, so stores and projectors treat it as any other.
 */
export function generationOf<M extends Pick<AnyModel, 'name' | 'version'>>(model: M, generation: number): M {
  return generation === 0 ? model : { ...model, name: `${model.name}_g${generation}` };
}
