import { memo, type ReactNode, useMemo } from 'react';

import type { Profile } from '../api/types.ts';
import { useTexts } from '../i18n/useTexts.ts';
import { ColumnCells, ColumnHead, ListTable } from '../ui/ListTable.tsx';
import { VirtualRows } from '../ui/VirtualRows.tsx';
import { profileKey } from './checks.ts';
import type { ProfileColumn, ProfileColumnId } from './profileColumns.tsx';
import { type ProfileCallbacks, ProfileRowActions } from './ProfileRowActions.tsx';

/** The height of a row, in rem. */
const ROW_REM = 5;
/** The estimated height of a card, in rem. */
const CARD_REM = 22;
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
  const t = useTexts('profiles');
  // Translated once for all rows.
  const titles = useMemo(
    () => Object.fromEntries(columns.map(({ id }) => [id, t(`columns.${id}`)])),
    [columns, t],
  );
  const head = (
    <>
      {columns.map(({ id, sortBy, wideOnly }) => (
        <ColumnHead
          key={id}
          title={t(`columns.${id}`)}
          wideOnly={wideOnly}
          sorted={sorting.by === id && (sorting.desc ? 'desc' : 'asc')}
          onSort={
            sortBy &&
            (() => {
              onSorting({ by: id, desc: sorting.by === id && !sorting.desc });
            })
          }
        />
      ))}
      <th scope="col" className="actions">
        {t('columns.actions')}
      </th>
    </>
  );
  return (
    <ListTable
      name={name}
      className="sessions profiles"
      count={profiles.length}
      columns={[...columns, { width: ACTIONS_WIDTH }]}
      head={head}
    >
      <VirtualRows items={profiles} keyOf={profileKey} rowHeight={ROW_REM} cardHeight={CARD_REM}>
        {(profile) => (
          <ProfileCells
            profile={profile}
            columns={columns}
            titles={titles}
            onLaunch={onLaunch}
            onAction={onAction}
          />
        )}
      </VirtualRows>
    </ListTable>
  );
}

interface ProfileCellsProps extends ProfileCallbacks {
  profile: Profile;
  columns: readonly ProfileColumn[];
  /** The columns' titles by id. */
  titles: Record<string, string>;
}

/** Memoized: an unchanged profile is the same object, so only changed rows re-render. */
const ProfileCells = memo(function ProfileCells(props: ProfileCellsProps): ReactNode {
  const { profile, columns, titles, onLaunch, onAction } = props;
  const t = useTexts('profiles');
  return (
    <>
      <ColumnCells columns={columns} titles={titles} item={profile} />
      <td data-column="actions" data-label={t('columns.actions')}>
        <ProfileRowActions profile={profile} onLaunch={onLaunch} onAction={onAction} />
      </td>
    </>
  );
});
