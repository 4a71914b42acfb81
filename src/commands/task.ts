import type { StreamName, UserId } from '../events/ids.js';
import type { Answer, Command, CommandKind } from './commands.js';
import type { Queue } from './pressure.js';

/** A command on its way through a writer, and its caller, who is told the outcome once. */
export class Task {
  constructor(
    readonly command: Command,
    readonly commandId: string,
    readonly stream: StreamName,
    private readonly bytes: number,
    private readonly queue: Queue,
    private readonly resolve: (answer: never) => void,
    private readonly reject: (error: unknown) => void,
  ) {}

  /** Who asked. */
  get actor(): UserId | 'system' {
    const { kind } = this.command;
    if (kind === 'erase member' || kind === 'appoint auditor' || kind === 'dismiss auditor') return 'system';
    return 'actor' in this.command ? this.command.actor : this.command.userId;
  }

  answer(answer: Answer<CommandKind>): void {
    this.queue.leave(this.bytes);
    // A caller takes what its command's kind is answered with, and a writer gives no other.
    this.resolve(answer as never);
  }

  refuse(error: unknown): void {
    this.queue.leave(this.bytes);
    this.reject(error);
  }
}
