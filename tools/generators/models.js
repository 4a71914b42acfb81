/**
 * Makes models of an AsyncAPI document by its own parser and generator: `node models.js asyncapi.json`. Prints a JSON
 * object: what the parser has to say, the schemas without a name, and the models by name.
 */
import { readFileSync } from 'node:fs';
import { TypeScriptGenerator } from '@asyncapi/modelina';
import { Parser } from '@asyncapi/parser';

const [, , file] = process.argv;
const { document, diagnostics } = await new Parser({
  // As in spectral.yaml.
  ruleset: { rules: { 'asyncapi-latest-version': 'off', 'asyncapi-info-contact': 'off' } },
}).parse(readFileSync(file, 'utf8'));
const unnamed =
  document
    ?.allSchemas()
    .all()
    .filter((schema) => schema.title() === undefined) ?? [];
const models = document ? await new TypeScriptGenerator({ modelType: 'interface' }).generate(document) : [];
const result = {
  diagnostics: diagnostics.map(({ code, message, path }) => ({ code, message, path: path.join('.') })),
  unnamed: unnamed.map((schema) => schema.json()),
  models: Object.fromEntries(models.map(({ modelName, result }) => [modelName, result])),
};
process.stdout.write(JSON.stringify(result));
