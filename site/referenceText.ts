/** Something exported, or a member of it, as the extractor writes it down. */
export interface Item {
  readonly kind: string;
  readonly name?: string;
  /** With its stars; empty where there is none. */
  readonly docComment?: string;
  readonly excerptTokens?: readonly { readonly text: string }[];
  readonly members?: readonly Item[];
}

/** What one name is imported from, and what it exports. */
export interface Package {
  readonly name: string;
  readonly items: readonly Item[];
}

const kinds: Readonly<Record<string, string>> = {
  Function: 'functions',
  Class: 'classes',
  Interface: 'interfaces',
  TypeAlias: 'types',
  Variable: 'values',
};

/** The reference in Markdown: a section a package and kind, a heading each name. */
export function referenceOf(packages: readonly Package[]): string {
  const sections = packages.flatMap(({ name, items }) =>
    Object.entries(kinds).flatMap(([kind, title]) => {
      // Schemas exist at run time too; of the client's types only the shape is meant.
      const found = items.filter((item) => item.kind === kind && !/^\w+: z\.Zod/.test(declared(item)));
      return found.length === 0 ? [] : [`## ${name}: ${title}\n\n${found.map(entry).join('\n')}`];
    }),
  );
  return `# Client reference

Made from the types and comments of the code that is imported; the [guide](/docs/client) says how they go together.

${sections.join('\n')}`;
}

function entry(item: Item): string {
  const { name = '', members = [] } = item;
  const heading = `### ${name}\n\n${comment(item)}\n`;
  // The contract's page has its fields.
  if (declared(item).includes(`z.infer<typeof ${name}>`))
    return `${heading}\nA [shape of the contract](/docs/protocol#${name.toLowerCase()}).\n`;
  const own = declared(item).trimEnd();
  const isBlock = item.kind === 'Class' || item.kind === 'Interface';
  const code = isBlock ? `${own} {\n${members.map(member).join('\n')}\n}` : own;
  return `${heading}\n\`\`\`ts\n${code}\n\`\`\`\n`;
}

const declared = ({ excerptTokens = [] }: Item): string =>
  excerptTokens
    .map(({ text }) => text)
    .join('')
    .replace(/^export (?:declare )?/, '');

/** The text of a comment; its tags become plain words. */
const comment = ({ docComment = '', kind }: Item): string => {
  const text = docComment
    .replace(/^\/\*\*\n?|\n? ?\*\/\n?$/g, '')
    .replace(/^ \* ?/gm, '')
    .replace(/\{@link ([^}]+)\}/g, '`$1`')
    .replace(/^@param (\w+) - /gm, '\n`$1`: ')
    .replace(/^@throws /gm, '\nThrows ')
    .replace(/^@returns /gm, '\nReturns ')
    .trim();
  // What the extractor makes up says nothing.
  return kind === 'Constructor' && text.startsWith('Constructs a new instance')
    ? text.split('\n').slice(1).join('\n').trim()
    : text;
};

function member(item: Item): string {
  const lines = comment(item)
    .split(/\n+(?=`\w+`: |Throws |Returns )|\n\n+/)
    .flatMap(wrapped);
  const [only = ''] = lines;
  const said = lines.length > 1 ? `/**\n * ${lines.join('\n * ')}\n */\n` : only && `/** ${only} */\n`;
  return `${said}${declared(item)}`.replace(/^/gm, '  ');
}

/** A paragraph in lines that a screen shows whole. */
function wrapped(paragraph: string): string[] {
  const lines: string[] = [];
  for (const word of paragraph.split(/\s+/).filter(Boolean)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < 84) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
