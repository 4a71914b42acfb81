import { UserName } from '../../console/userNames.js';
import { formatUtc, pluralize } from '../../ui/format.js';
import { ExportButtons } from '../ExportButtons.js';
import { hrefOf } from '../route.js';
import type { MemberPeriods, Period } from './memberPeriods.js';

interface Props {
  readonly roomId: string;
  readonly members: MemberPeriods;
  /** The first and the last change of the room, and the time that is shown, in ISO 8601. */
  readonly from: string;
  readonly to: string;
  readonly at: string;
  readonly onTime: (at: string) => void;
}

const WIDTH = 1000;
const BAR = 14;

/** Who was in a room when: a bar for each member, and the same in words. */
export function MembersPanel({ roomId, members, from, to, at, onTime }: Props) {
  const [begin, end] = [Date.parse(from), Math.max(Date.parse(to), Date.parse(from) + 1)];
  const place = (iso: string | undefined): number =>
    (WIDTH * Math.min(Math.max((iso === undefined ? end : Date.parse(iso)) - begin, 0), end - begin)) /
    (end - begin);
  const rows = [...members].flatMap(([userId, periods]) => periods.map((period) => ({ userId, ...period })));
  return (
    <details class="panel members">
      <summary>Who was a member, and when: {pluralize(members.size, 'user')}</summary>
      <p class="quiet">
        Each line goes from the first change of the room to its last. It is filled while the user was a
        member, in another colour while they were owner or admin. The red mark is the time shown below.
      </p>
      <ul>
        {[...members].map(([userId, periods]) => (
          <li key={userId}>
            <a href={hrefOf('past', { user: userId, at })}>
              <UserName id={userId} />
            </a>
            <svg aria-hidden="true" viewBox={`0 0 ${WIDTH} ${BAR}`} preserveAspectRatio="none">
              <rect class="ground" width={WIDTH} height={BAR} />
              {periods.map((period) => (
                <rect
                  key={period.from}
                  class="bar"
                  data-role={period.role}
                  x={place(period.from)}
                  width={Math.max(place(period.to) - place(period.from), 3)}
                  height={BAR}
                />
              ))}
              <line class="at" x1={place(at)} x2={place(at)} y1={0} y2={BAR} />
            </svg>
            <PeriodTexts periods={periods} onTime={onTime} />
          </li>
        ))}
      </ul>
      <ExportButtons
        of={['members', { stream: `room:${roomId}` }]}
        rows={rows.map((row) => ({
          time: row.from,
          userId: row.userId,
          roomId,
          text: row.role,
          row: { ...row },
        }))}
      />
    </details>
  );
}

function PeriodTexts({ periods, onTime }: { readonly periods: readonly Period[] } & Pick<Props, 'onTime'>) {
  const timeButton = (at: string) => (
    <button class="button plain time" type="button" onClick={() => onTime(at)}>
      {formatUtc(at)}
    </button>
  );
  return (
    <ul class="periods">
      {periods.map(({ from, to, role }) => (
        <li key={from}>
          {role === undefined ? '' : `${role} `}from {timeButton(from)}
          {to === undefined ? ' on' : <> to {timeButton(to)}</>}
        </li>
      ))}
    </ul>
  );
}
