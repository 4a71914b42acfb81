/**
 * The partition is not this writer's, or is so no longer: with the command nothing was done, and it is to be given to
 * whoever has the partition. Goes between nodes only, never to a client.
 */
export class NotOwner extends Error {
  override readonly name = 'NotOwner';
  constructor(readonly partition: number) {
    super(`partition ${partition} is not owned here`);
  }
}
