import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { readConfig } from '../base/settings.js';
import { KEY_SCOPES, KeyName, type KeyScope } from '../domain/hostKeys.js';
import { parseAs, parseId, printLine } from './commandLine.js';
import { withOperator } from './operate.js';

function parseScopes(text: string): KeyScope[] {
  const scopes = KEY_SCOPES.filter((scope) => text.split(',').includes(scope));
  if (scopes.length === 0 || text.split(',').some((name) => !scopes.some((scope) => scope === name)))
    throw new InvalidArgumentError(
      `It must be one or more of ${KEY_SCOPES.join(', ')}, separated by commas.`,
    );
  return scopes;
}

/** Keys with which the server of a host application acts for its users. */
export function addKey(program: Command, env: NodeJS.ProcessEnv): void {
  const key = program
    .command('key')
    .description('manage the keys with which the server of your application acts for its users');
  key
    .command('add')
    .description('make a key and print it once; the server stores only its hash')
    .argument('<name>', 'the purpose of the key, shown in the list of keys', parseAs(KeyName))
    .requiredOption('--scopes <scopes>', `the permissions of the key: ${KEY_SCOPES.join(', ')}`, parseScopes)
    .action(async (name: string, { scopes }: { scopes: KeyScope[] }) => {
      const { key: secret } = await withOperator(readConfig(env), (operator) =>
        operator.addServerKey({ name, scopes }),
      );
      printLine(secret);
    });
  key
    .command('list')
    .description('print all keys without their secrets, as JSON lines')
    .action(async () => {
      const { keys } = await withOperator(readConfig(env), (operator) => operator.listServerKeys({}));
      for (const one of keys) printLine(JSON.stringify(one));
    });
  key
    .command('revoke')
    .description('refuse a key from now on, on all nodes')
    .argument('<keyId>', 'the id of the key, as the list has it', parseId)
    .action(async (keyId: string) => {
      const { changed } = await withOperator(readConfig(env), (operator) =>
        operator.revokeServerKey({ keyId }),
      );
      printLine(`key ${keyId} ${changed ? 'is revoked' : 'was revoked before'}`);
    });
}

/** The key that signs the heads of the log. */
export function addSigningKey(audit: Command, env: NodeJS.ProcessEnv): void {
  audit
    .command('key')
    .description('manage the key that signs the heads of the log')
    .command('rotate')
    .description(
      'sign with a new key from now on, and print all verifier keys; the earlier keys still verify earlier heads',
    )
    .action(async () => {
      const { keys } = await withOperator(readConfig(env), (operator) => operator.rotateKey({}));
      for (const line of keys) printLine(line);
    });
}
