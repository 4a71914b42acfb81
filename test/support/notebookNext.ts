import type { AnyProjection } from '../../src/projections/projection.js';
import { allProjections as present } from './notebook.js';

/** The same projections in their next version: into tables of their own. */
export const allProjections = (): readonly AnyProjection[] =>
  present().map((projection) => {
    const { model } = projection;
    return { ...projection, model: { ...model, version: model.version + 1 } };
  });
