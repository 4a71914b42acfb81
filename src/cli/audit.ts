import type { Command } from 'commander';
import { addAccept } from './auditAccept.js';
import { addAsOf } from './auditAsOf.js';
import { addExport } from './auditExport.js';
import { addReplay } from './auditReplay.js';
import { addVerify } from './auditVerify.js';

export function addAudit(program: Command, env: NodeJS.ProcessEnv): void {
  const audit = program
    .command('audit')
    .description(
      'check, read and export the log, beside a running server or without one; docs/audit.md walks through it',
    );
  for (const add of [addVerify, addReplay, addAsOf, addExport, addAccept]) add(audit, env);
}
