import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';
import { type Item, referenceOf } from './referenceText.js';

/** API Extractor cannot read the types of an entry point. */
class NoReference extends Error {
  override readonly name = 'NoReference';
}

/**
 * Returns the reference of the client as Markdown, generated from its declarations and their comments.
 *
 * @param root folder of the package
 * @param entries compiled declarations (`index.d.ts`) by import name
 * @throws {NoReference} with the messages of the extractor, if it cannot read a file
 */
export async function reference(root: string, entries: ReadonlyMap<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-reference-'));
  try {
    const packages = [...entries].map(([name, file], index) => {
      const model = join(folder, `${index}.api.json`);
      extract(root, file, model);
      // The extractor's format has a package, its one entry point, and the exports of that.
      const json = JSON.parse(readFileSync(model, 'utf8')) as {
        members: readonly { members: readonly Item[] }[];
      };
      return { name, items: json.members.flatMap(({ members }) => members) };
    });
    return referenceOf(packages);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function extract(root: string, mainEntryPointFilePath: string, apiJsonFilePath: string): void {
  const compilerOptions = {
    ...{ target: 'es2022', module: 'nodenext', moduleResolution: 'nodenext', lib: ['es2023', 'dom'] },
    ...{ types: [], skipLibCheck: true, strict: true },
  };
  const config = ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: join(root, 'package.json'),
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath,
      compiler: { overrideTsconfig: { compilerOptions, files: [mainEntryPointFilePath] } },
      docModel: { enabled: true, apiJsonFilePath },
      apiReport: { enabled: false, reportFileName: 'none' },
    },
  });
  const said: string[] = [];
  const { succeeded } = Extractor.invoke(config, {
    localBuild: true,
    messageCallback: (message) => {
      if (message.logLevel === ExtractorLogLevel.Error) said.push(message.text);
      message.handled = true;
    },
  });
  if (!succeeded) throw new NoReference(`${mainEntryPointFilePath}: ${said.join('; ')}`);
}
