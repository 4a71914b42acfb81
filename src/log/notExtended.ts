/** The log does not extend the head of it that was signed last: it was restored from a back-up, or altered. */
export class NotExtended extends Error {
  override readonly name = 'NotExtended';
  constructor(
    readonly partition: number,
    what: string,
  ) {
    super(`partition ${partition} does not extend its signed head: ${what}; see docs/audit.md`);
  }
}
