import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { notFound, outcomeUnknown } from '../../src/base/errors.js';
import type { Command } from '../../src/domain/commands.js';
import type { Recorded } from '../../src/domain/events.js';
import { Moderation, type ModerationDeps } from '../../src/erasure/reportDecisions.js';
import type { Report } from '../../src/projections/reportQueries.js';
import { rejection } from '../support/rejection.js';

const [reporter, moderator, roomId, reportId] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
const senderId = randomUUID();
const messageIds = ['m1', 'm2'];
const reportedAt = '2026-01-01T00:00:00.000Z';

/** A system that is cut off at its n-th step, and goes on when it is asked again. */
function systemCutOffAt(cut: number) {
  const open: Report = { reportId, reporter, reportedAt, roomId, messageIds, seqs: [1, 2], category: 'spam' };
  const state = {
    report: open,
    deleted: new Map<string, string>(),
    suspended: [] as (readonly [string, string, string])[],
    user: { userId: senderId } as { userId: string; erased?: true },
    roles: [] as string[],
    ...{ decisions: 0, waits: 0, steps: 0 },
  };
  const step = async <T>(work: () => T): Promise<T> => {
    if (state.steps++ === cut) throw outcomeUnknown('cut off before it');
    const done = work();
    if (state.steps++ === cut) throw outcomeUnknown('cut off after it');
    return done;
  };
  const moment = { partition: 0, size: 1 };
  const execute = (command: Command) =>
    step(() => {
      if (command.kind === 'delete reported message' && !state.deleted.has(command.messageId))
        state.deleted.set(command.messageId, command.by);
      if (command.kind === 'record decision') {
        const { by, decision, note } = command;
        const isKnown = state.report.decided !== undefined;
        if (!isKnown) state.decisions++;
        state.report = {
          ...state.report,
          decided: state.report.decided ?? { by, at: reportedAt, decision, note },
        };
        return { isKnown, moment };
      }
      return { changed: true, moment };
    });
  const deps = {
    reads: {
      reports: { byId: () => step(() => state.report), find: async () => state.report },
      queries: {
        messagesAt: () => step(() => [{ senderId }, { senderId }]),
        users: async () => new Map([[senderId, state.user]]),
        roles: async () => new Map([[senderId, state.roles]]),
      },
    },
    log: { partitions: 1, tail: async () => moment },
    keys: {},
    commands: { execute },
    effects: {
      deletedTexts: { waitFor: () => step(() => state.waits++) },
      suspend: (by: string, userId: string, reason: string) =>
        step(() => {
          if (state.user.erased) throw notFound('erased');
          expect([...state.deleted.keys()], 'behind the deletions').to.deep.equal(messageIds);
          if (state.suspended.length === 0) state.suspended.push([by, userId, reason]);
        }),
    },
  };
  return { state, moderation: new Moderation(deps as unknown as ModerationDeps) }; // What deciding uses.
}

const decision = { by: moderator, decision: { delete: messageIds, suspend: true }, note: 'spam' } as const;

describe('the decision of a report', () => {
  it('is finished by repeating it, wherever it was cut off, and takes effect once', async () => {
    const { state: whole, moderation: uncut } = systemCutOffAt(Number.POSITIVE_INFINITY);
    await uncut.decide(reportId, decision);
    expect(whole.steps).to.be.above(10);
    for (let cut = 0; cut < whole.steps; cut++) {
      const { state, moderation } = systemCutOffAt(cut);
      expect(await rejection(moderation.decide(reportId, decision))).to.include({ code: 'unknown' });
      await moderation.decide(reportId, decision);
      expect([...state.deleted]).to.deep.equal(messageIds.map((id) => [id, moderator]));
      expect(state.suspended).to.deep.equal([[moderator, senderId, 'spam']]);
      expect(state.decisions, `cut off at step ${cut}`).to.equal(1);
      expect(state.report.decided).to.deep.include({ by: moderator, note: 'spam' });
    }
  });

  it('is finished by whoever follows the log, wherever it was cut off, and takes effect once', async () => {
    const { state: whole, moderation: uncut } = systemCutOffAt(Number.POSITIVE_INFINITY);
    await uncut.decide(reportId, decision);
    const { by, decision: verdict } = decision;
    const data = { reportId, by, decision: verdict, note: 'sealed' };
    const place = { partition: 0, offset: 0, version: 1, stream: `user:${reporter}` } as const;
    const rest = { actor: by, recordedAt: reportedAt, commandId: 'c' };
    const event: Recorded<'ReportDecided'> = { ...place, ...rest, type: 'ReportDecided', data };
    for (let cut = 0; cut < whole.steps; cut++) {
      const { state, moderation } = systemCutOffAt(cut);
      await rejection(moderation.decide(reportId, decision));
      // What is not recorded was not decided.
      if (state.decisions === 0) continue;
      for (let times = 0; times < 2; times++) await moderation.finish(event);
      expect([...state.deleted], `cut off at step ${cut}`).to.deep.equal(
        messageIds.map((id) => [id, moderator]),
      );
      expect(state.suspended).to.deep.equal([[moderator, senderId, 'spam']]);
      state.user.erased = true;
      await moderation.finish(event);
    }
  });

  it('is the first one: another is a conflict and deletes nothing, also at the same time', async () => {
    const { state, moderation } = systemCutOffAt(Number.POSITIVE_INFINITY);
    await moderation.decide(reportId, { ...decision, decision: {} });
    const late = [decision, { ...decision, decision: {}, note: 'else' }];
    for (const one of late)
      expect(await rejection(moderation.decide(reportId, one))).to.include({ code: 'conflict' });
    expect([state.deleted.size, state.suspended.length]).to.deep.equal([0, 0]);
    const both = systemCutOffAt(Number.POSITIVE_INFINITY);
    const outcomes = await Promise.allSettled([
      both.moderation.decide(reportId, decision),
      both.moderation.decide(reportId, { ...decision, decision: {} }),
    ]);
    expect(outcomes.map(({ status }) => status)).to.have.members(['fulfilled', 'rejected']);
    expect(both.state.decisions).to.equal(1);
  });

  it('to suspend somebody who holds a role, or is erased, is refused before it is recorded', async () => {
    const { state, moderation } = systemCutOffAt(Number.POSITIVE_INFINITY);
    state.roles.push('auditor');
    expect(await rejection(moderation.decide(reportId, decision))).to.include({ code: 'forbidden' });
    state.user.erased = true;
    expect(await rejection(moderation.decide(reportId, decision))).to.include({ code: 'not_found' });
    expect([state.decisions, state.deleted.size, state.suspended.length]).to.deep.equal([0, 0, 0]);
  });

  it('to suspend somebody is done when they are erased after it', async () => {
    const { state, moderation } = systemCutOffAt(Number.POSITIVE_INFINITY);
    await moderation.decide(reportId, decision);
    state.user.erased = true;
    await moderation.decide(reportId, decision);
    expect(state.decisions).to.equal(1);
  });
});
