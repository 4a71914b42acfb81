import { useContext, useState } from 'preact/hooks';
import { UsersContext } from '../console/userNames.js';
import { Icon } from '../ui/icons.js';
import { useConsole } from './consoleContext.js';
import { ExportNames, type ExportSource } from './exportNames.js';
import { downloadRows, type Format, fileName, formats } from './exportRows.js';

interface Props {
  /** What the file has, for its name: texts, and streams whose names it says. */
  readonly of: readonly (string | { readonly stream: string })[];
  readonly rows: readonly ExportSource[];
}

const endings: readonly Format[] = ['jsonl', 'csv'];

/** Exports what the view shows, with the names of its users and rooms, and only that. */
export function ExportButtons({ of, rows }: Props) {
  const { names } = useConsole();
  const users = useContext(UsersContext);
  const [isBusy, setBusy] = useState(false);
  const save = async (ending: Format): Promise<void> => {
    if (!users) return;
    setBusy(true);
    const found = new ExportNames(users, names);
    const named = await found.nameRows(rows);
    const parts = await Promise.all(
      of.map((part) => (typeof part === 'string' ? part : found.stream(part.stream))),
    );
    downloadRows(fileName(parts, named), ending, named);
    setBusy(false);
  };
  return (
    <fieldset class="row export">
      <legend class="hidden-visually">Export what is shown</legend>
      {endings.map((ending) => (
        <button
          key={ending}
          class="button"
          type="button"
          disabled={rows.length === 0 || isBusy}
          onClick={() => void save(ending)}
        >
          <Icon name="down" />
          Export {formats[ending].title}
        </button>
      ))}
    </fieldset>
  );
}
