import { Decision, ReportAnswer, ReportsAnswer, ReportsQuery } from '../moderation.js';
import type { Json } from '../schemas.js';

const tag = 'Administration' as const;
const report: Json[] = [
  {
    ...{ name: 'id', in: 'path', required: true },
    schema: { type: 'string', format: 'uuid' },
    description: 'The id of the report, in any case.',
  },
];
const errors = ['bad_request', 'forbidden', 'overloaded', 'unknown'] as const;

/** The paths of reports, for moderators, in OpenAPI's notation. */
export const reportPaths = {
  '/admin/reports': {
    get: {
      id: 'listReports',
      summary: 'List reports',
      about:
        'Returns one page of reports for moderators: open ones oldest first, closed ones newest first. The log records the look before the answer.',
      tag,
      query: ReportsQuery,
      status: 200,
      answer: ReportsAnswer,
      errors,
    },
  },
  '/admin/reports/{id}': {
    get: {
      id: 'getReport',
      summary: 'Get a report',
      about:
        'Returns a report with the reported messages, and the 5 before and after each that the reporter could see. The log records the look before the answer.',
      tag,
      path: report,
      status: 200,
      answer: ReportAnswer,
      errors: [...errors, 'not_found'] as const,
    },
  },
  '/admin/reports/{id}/decision': {
    post: {
      id: 'decideReport',
      summary: 'Decide a report',
      about:
        'Closes the report, deletes messages of it, and destroys the texts that it kept. After a failure, the same decision again finishes it; another one is a `conflict`.',
      tag,
      path: report,
      body: Decision,
      status: 204,
      errors: [...errors, 'not_found', 'conflict'] as const,
    },
  },
};
