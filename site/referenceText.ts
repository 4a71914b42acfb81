/** An export, or a member of an export, in the format of API Extractor. */
export interface Item {
  readonly kind: string;
  readonly name?: string;
  /** The comment with its stars; empty if there is none. */
  readonly docComment?: string;
  readonly excerptTokens?: readonly { readonly text: string }[];
  readonly members?: readonly Item[];
}

/** An import name and its exports. */
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

/** Returns the reference as Markdown, with a section per package and kind, and a heading per name. */
export function referenceOf(packages: readonly Package[]): string {
  const sections = packages.flatMap(({ name, items }) =>
    Object.entries(kinds).flatMap(([kind, title]) => {
      // A zod schema is a value and a type of one name. The reference shows the type only.
      const found = items.filter((item) => item.kind === kind && !/^\w+: z\.Zod/.test(declared(item)));
      return found.length === 0 ? [] : [`## ${name}: ${title}\n\n${found.map(entry).join('\n')}`];
    }),
  );
  return `# Client reference

This page is generated from the types and comments of the client. The [guide](/docs/client) shows how to use them.

${sections.join('\n')}`;
}

function entry(item: Item): string {
  const { name = '', members = [] } = item;
  const heading = `### ${name}\n\n${comment(item)}\n`;
  // The page of the contract lists the fields of this shape.
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

/** Returns the text of a comment. Its tags become words. */
const comment = ({ docComment = '', kind }: Item): string => {
  const text = docComment
    .replace(/^\/\*\*\n?|\n? ?\*\/\n?$/g, '')
    .replace(/^ \* ?/gm, '')
    .replace(/\{@link ([^}]+)\}/g, '`$1`')
    .replace(/^@param (\w+) - /gm, '\n`$1`: ')
    .replace(/^@throws /gm, '\nThrows ')
    .replace(/^@returns /gm, '\nReturns ')
    .trim();
  // The extractor invents a comment for a constructor without one.
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

/** Wraps a paragraph at 84 characters. */
function wrapped(paragraph: string): string[] {
  const lines: string[] = [];
  for (const word of paragraph.split(/\s+/).filter(Boolean)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < 84) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
