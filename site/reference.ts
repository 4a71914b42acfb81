import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';
import { type Item, referenceOf } from './referenceText.js';

/** The types of an entry point could not be read. */
class NoReference extends Error {
  override readonly name = 'NoReference';
}

/**
 * The reference of the client as Markdown, from the comments in its declarations.
 *
 * @param root of the package
 * @param entries compiled declarations (`index.d.ts`) by the name they are imported by
 * @throws {NoReference} with what the extractor says, where it cannot read them
 */
export async function reference(root: string, entries: ReadonlyMap<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-reference-'));
  try {
    const packages = [...entries].map(([name, file], index) => {
      const model = join(folder, `${index}.api.json`);
      extract(root, file, model);
      // The extractor's own format: a package, its one entry point, what that exports.
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
