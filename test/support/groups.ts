import { GroupIndex } from '../../src/gateway/groupIndex.js';

/** A node whose users are in no group. */
export const noGroups = (): GroupIndex =>
  new GroupIndex(
    async () => [],
    () => [],
  );

/** Sources of what pushes to groups alone show. */
export const noNotes = async (): Promise<never[]> => [];
