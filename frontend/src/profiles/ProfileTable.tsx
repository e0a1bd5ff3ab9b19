import { useWindowVirtualizer } from '@tanstack/react-virtual';
import {
  type CSSProperties,
  memo,
  type ReactNode,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from 'react';
import { useTranslation } from 'react-i18next';

import type { Profile } from '../api/types.ts';
import { useTexts } from '../i18n/useTexts.ts';
import { Icon } from '../ui/icons.tsx';
import { useMediaQuery } from '../ui/useMediaQuery.ts';
import { profileKey } from './checks.ts';
import type { ProfileColumn, ProfileColumnId } from './profileColumns.tsx';
import { type ProfileCallbacks, ProfileRowActions } from './ProfileRowActions.tsx';

/** From this width on rows are table rows, below it cards. Keep in sync with `sessions.css`. */
const WIDE = '(min-width: 60.001rem)';
/** The estimated heights of a row and of a card, and the gap between cards, in rem. */
const [ROW_REM, CARD_REM, CARD_GAP_REM] = [5, 22, 0.75];
/** How many rows beyond the visible ones are rendered. */
const OVERSCAN = 6;
/** The width of the column of actions, in rem. */
const ACTIONS_WIDTH = 9.5;

/** How a table is sorted. */
export interface ProfileSorting {
  by: ProfileColumnId;
  desc: boolean;
}

/** The profiles in the order of a column. */
export function sortProfiles(
  profiles: readonly Profile[],
  columns: readonly ProfileColumn[],
  { by, desc }: ProfileSorting,
): readonly Profile[] {
  const sortBy = columns.find(({ id }) => id === by)?.sortBy;
  if (!sortBy) return profiles;
  const sign = desc ? -1 : 1;
  const keyed = profiles.map((profile) => ({ profile, key: sortBy(profile) }));
  keyed.sort((a, b) => (a.key < b.key ? -sign : a.key > b.key ? sign : 0));
  return keyed.map(({ profile }) => profile);
}

interface ProfileTableProps extends ProfileCallbacks {
  /** The accessible name of the table. */
  name: string;
  /** In their order. */
  profiles: readonly Profile[];
  columns: readonly ProfileColumn[];
  sorting: ProfileSorting;
  onSorting: (sorting: ProfileSorting) => void;
}

/** Profiles as a table, on narrow screens as cards. Only visible rows are rendered. */
export function ProfileTable(props: ProfileTableProps): ReactNode {
  const { name, profiles, columns, sorting, onSorting, onLaunch, onAction } = props;
  const { t } = useTranslation('profiles');
  const wide = useMediaQuery(WIDE);
  const template = (shown: readonly ProfileColumn[]) =>
    [
      ...shown.map(({ width }) => (width === undefined ? 'minmax(0, 1fr)' : `${width}rem`)),
      `${ACTIONS_WIDTH}rem`,
    ].join(' ');
  const templates = {
    '--columns': template(columns),
    '--columns-narrow': template(columns.filter(({ wideOnly }) => !wideOnly)),
  } as CSSProperties;
  return (
    <div className="table-frame card">
      <table
        className="sessions profiles"
        style={templates}
        aria-label={name}
        aria-rowcount={profiles.length + 1}
      >
        <thead>
          <tr aria-rowindex={1}>
            {columns.map(({ id, sortBy, wideOnly }) => {
              const sorted = ariaSort(sorting, id);
              return (
                <th
                  key={id}
                  scope="col"
                  aria-sort={sorted}
                  className={wideOnly ? 'wide-only' : undefined}
                >
                  {sortBy ? (
                    <button
                      type="button"
                      className="sort"
                      onClick={() => {
                        onSorting({ by: id, desc: sorting.by === id && !sorting.desc });
                      }}
                    >
                      {t(`columns.${id}`)}
                      <span className={`arrow ${ARROWS[sorted]}`}>
                        <Icon name="chevron" />
                      </span>
                    </button>
                  ) : (
                    t(`columns.${id}`)
                  )}
                </th>
              );
            })}
            <th scope="col" className="actions">
              {t('columns.actions')}
            </th>
          </tr>
        </thead>
        {/* Remounted when the layout changes, because measured heights of cards don't apply to rows. */}
        <Rows
          key={String(wide)}
          wide={wide}
          profiles={profiles}
          columns={columns}
          onLaunch={onLaunch}
          onAction={onAction}
        />
      </table>
    </div>
  );
}

const ARROWS = { ascending: 'asc', descending: 'desc', none: '' } as const;

function ariaSort({ by, desc }: ProfileSorting, id: ProfileColumnId): keyof typeof ARROWS {
  if (by !== id) return 'none';
  return desc ? 'descending' : 'ascending';
}

type RowsProps = Pick<ProfileTableProps, 'profiles' | 'columns' | 'onLaunch' | 'onAction'> & {
  wide: boolean;
};

function Rows({ profiles, columns, wide, onLaunch, onAction }: RowsProps): ReactNode {
  const body = useRef<HTMLTableSectionElement>(null);
  const [offset, setOffset] = useState(0);
  const [rem] = useState(
    () => parseFloat(getComputedStyle(document.documentElement).fontSize) || 16,
  );
  const t = useTexts('profiles');
  // Translated once for all rows.
  const titles = useMemo(
    () => Object.fromEntries(columns.map(({ id }) => [id, t(`columns.${id}`)])),
    [columns, t],
  );

  useLayoutEffect(() => {
    // Content above the rows may appear and disappear.
    const measure = () => {
      const top = body.current?.getBoundingClientRect().top ?? 0;
      setOffset(Math.round(top + window.scrollY));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(document.body);
    return () => {
      observer.disconnect();
    };
  }, []);

  const virtualizer = useWindowVirtualizer({
    count: profiles.length,
    estimateSize: () => Math.round((wide ? ROW_REM : CARD_REM) * rem),
    getItemKey: (index) => {
      const profile = profiles[index];
      return profile ? profileKey(profile) : index;
    },
    gap: wide ? 0 : Math.round(CARD_GAP_REM * rem),
    overscan: OVERSCAN,
    scrollMargin: offset,
    // Rows are rendered ahead of the viewport, so they may be one frame late.
    useFlushSync: false,
  });

  return (
    <tbody ref={body} style={{ height: virtualizer.getTotalSize() }}>
      {virtualizer.getVirtualItems().map(({ index, start }) => {
        const profile = profiles[index];
        return (
          profile && (
            <Row
              key={profileKey(profile)}
              index={index}
              top={start - offset}
              profile={profile}
              columns={columns}
              titles={titles}
              onLaunch={onLaunch}
              onAction={onAction}
              {...(wide
                ? { height: Math.round(ROW_REM * rem) }
                : { measure: virtualizer.measureElement })}
            />
          )
        );
      })}
    </tbody>
  );
}

interface RowProps extends ProfileCallbacks {
  index: number;
  /** The offset from the first row, in pixels. */
  top: number;
  /** The height in pixels; without it the row is as high as its content. */
  height?: number;
  /** A ref to the element whose height has to be measured. */
  measure?: (element: HTMLTableRowElement | null) => void;
  profile: Profile;
  columns: readonly ProfileColumn[];
  /** The columns' titles by id. */
  titles: Record<string, string>;
}

/** Memoized: an unchanged profile is the same object, so only changed rows re-render. */
const Row = memo(function Row(props: RowProps): ReactNode {
  const { index, top, height, measure, profile, columns, titles, onLaunch, onAction } = props;
  const t = useTexts('profiles');
  return (
    <tr ref={measure} data-index={index} style={{ top, height }} aria-rowindex={index + 2}>
      {columns.map(({ id, cell, wideOnly }) => (
        <td
          key={id}
          data-column={id}
          data-label={titles[id]}
          className={wideOnly ? 'wide-only' : undefined}
        >
          {cell(profile)}
        </td>
      ))}
      <td data-column="actions" data-label={t('columns.actions')}>
        <ProfileRowActions profile={profile} onLaunch={onLaunch} onAction={onAction} />
      </td>
    </tr>
  );
});
