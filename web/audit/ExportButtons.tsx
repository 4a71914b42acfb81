import { Icon } from '../ui/icons.js';
import { downloadRows, type ExportedRow, type Format, formats } from './exportRows.js';

interface Props {
  /** The name of the file, without its ending. */
  readonly name: string;
  readonly rows: readonly ExportedRow[];
}

const endings: readonly Format[] = ['jsonl', 'csv'];

/** Exports what the view shows, and only that. */
export function ExportButtons({ name, rows }: Props) {
  return (
    <fieldset class="row export">
      <legend class="hidden-visually">Export what is shown</legend>
      {endings.map((ending) => (
        <button
          key={ending}
          class="button"
          type="button"
          disabled={rows.length === 0}
          onClick={() => downloadRows(name, ending, rows)}
        >
          <Icon name="down" />
          Export {formats[ending].title}
        </button>
      ))}
    </fieldset>
  );
}
