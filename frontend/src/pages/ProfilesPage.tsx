import '../i18n/profiles.ts';
import '../styles/profiles.css';

import { type ReactNode, useCallback, useDeferredValue, useMemo, useRef, useState } from 'react';
import { Trans, useTranslation } from 'react-i18next';

import { apiUrl } from '../api/base.ts';
import { errorText, UnreachableError } from '../api/client.ts';
import type { Profile } from '../api/types.ts';
import { useFleet } from '../hooks/fleet.ts';
import { useProfiles } from '../hooks/profiles.ts';
import { useStore } from '../lib/useStore.ts';
import type { LaunchDraft } from '../live/launchDraft.ts';
import { profileChecks } from '../profiles/checks.ts';
import { CloneDialog } from '../profiles/CloneDialog.tsx';
import { CookiesDialog } from '../profiles/CookiesDialog.tsx';
import { DeleteProfileDialog } from '../profiles/DeleteProfileDialog.tsx';
import { ImportDialog } from '../profiles/ImportDialog.tsx';
import { PROFILE_COLUMNS } from '../profiles/profileColumns.tsx';
import { EditProfileDialog, NewProfileDialog } from '../profiles/ProfileDialog.tsx';
import {
  filterProfiles,
  isFiltering,
  NO_FILTER,
  type ProfileFilter,
} from '../profiles/profileFilter.ts';
import type { ProfileAction } from '../profiles/ProfileRowActions.tsx';
import { type ProfileSorting, ProfileTable, sortProfiles } from '../profiles/ProfileTable.tsx';
import { TransferList } from '../profiles/TransferList.tsx';
import { transfers } from '../profiles/transfers.ts';
import { needsCredit } from '../sessions/proxyChecks.ts';
import { DbIpCredit } from '../sessions/ProxyCheck.tsx';
import { egressFacts } from '../sessions/exits.ts';
import { LabelFilter, WorkerFilter } from '../sessions/SessionFilters.tsx';
import { ClearButton } from '../ui/ClearButton.tsx';
import { EmptyList } from '../ui/EmptyList.tsx';
import { Icon } from '../ui/icons.tsx';
import { SearchField } from '../ui/SearchField.tsx';
import { useAddressFilter } from '../ui/useAddressFilter.ts';
import { useFileDrop } from '../ui/useFileDrop.ts';
import { usePageTitle } from '../ui/usePageTitle.ts';

const NO_PROFILES: readonly Profile[] = [];

/** The dialog that is open. */
type Open =
  | { dialog: 'new' }
  | { dialog: 'import'; files: readonly File[] }
  | { dialog: Exclude<ProfileAction, 'export'>; profile: Profile };

interface ProfilesPageProps {
  /** Opens the launch form with these fields. */
  onLaunch: (fields: Partial<LaunchDraft>) => void;
}

/** The profiles of all workers. */
export function ProfilesPage({ onLaunch }: ProfilesPageProps): ReactNode {
  const { t } = useTranslation('profiles');
  usePageTitle(t('title'));
  const { workers } = useFleet();
  const { data, error, isPending } = useProfiles();
  const profiles = data ?? NO_PROFILES;
  const [filter, setFilter] = useAddressFilter(NO_FILTER, 'name', 'profile');
  const [sorting, setSorting] = useState<ProfileSorting>({ by: 'profile', desc: false });
  const [open, setOpen] = useState<Open | null>(null);
  const picker = useRef<HTMLInputElement>(null);
  // Deferred, so that typing stays responsive with thousands of rows.
  const applied = useDeferredValue(filter);
  const shown = useMemo(
    () => sortProfiles(filterProfiles(profiles, applied), PROFILE_COLUMNS, sorting),
    [profiles, applied, sorting],
  );
  const keepers = useMemo(
    () => workers.filter(({ detail }) => 'facts' in detail && detail.facts?.profiles != null),
    [workers],
  );
  const several = new Set(profiles.map(({ worker }) => worker)).size > 1;
  const columns = useMemo(
    () => PROFILE_COLUMNS.filter(({ id }) => several || id !== 'worker'),
    [several],
  );
  const names = useMemo(() => {
    const counts = new Map<string, number>();
    for (const { name } of profiles) counts.set(name, (counts.get(name) ?? 0) + 1);
    return counts;
  }, [profiles]);

  const launch = useCallback(
    ({ name, worker = '' }: Profile) => {
      // The API finds the worker, unless several have a profile with this name.
      onLaunch({ profile: name, worker: (names.get(name) ?? 0) > 1 ? worker : '' });
    },
    [onLaunch, names],
  );
  const act = useCallback((action: ProfileAction, profile: Profile) => {
    if (action === 'export') transfers.export(profile);
    else setOpen({ dialog: action, profile });
  }, []);
  const take = useCallback((files: FileList | null) => {
    if (files && files.length > 0) setOpen({ dialog: 'import', files: [...files] });
  }, []);
  const dragged = useFileDrop(take);
  const close = useCallback(() => {
    setOpen(null);
  }, []);

  return (
    <>
      <section aria-labelledby="profiles-title">
        <div className="section-header">
          <h2 id="profiles-title">
            {t('title')}
            {data && (
              <span className="count">
                {shown.length === profiles.length
                  ? t('count', { count: profiles.length })
                  : t('countOf', { shown: shown.length, count: profiles.length })}
              </span>
            )}
          </h2>
          <div className="profile-tools">
            <input
              ref={picker}
              type="file"
              multiple
              hidden
              data-testid="import-files"
              accept=".zst,application/zstd"
              onChange={({ target }) => {
                take(target.files);
                // So that the same file can be chosen again.
                target.value = '';
              }}
            />
            <button
              type="button"
              className="button"
              title={t('importHint')}
              onClick={() => picker.current?.click()}
            >
              {t('import')}
            </button>
            <button
              type="button"
              className="button"
              onClick={() => {
                setOpen({ dialog: 'new' });
              }}
            >
              <Icon name="plus" />
              {t('new')}
            </button>
          </div>
        </div>
        <TransferList />
        {error && !(error instanceof UnreachableError) && (
          <p className="banner" role="alert">
            {errorText(error)}
          </p>
        )}
        {profiles.length > 0 && (
          <Filters profiles={profiles} filter={filter} onFilter={setFilter} several={several} />
        )}
        {shown.length > 0 ? (
          <ProfileTable
            name={t('title')}
            profiles={shown}
            columns={columns}
            sorting={sorting}
            onSorting={setSorting}
            onLaunch={launch}
            onAction={act}
          />
        ) : (
          <EmptyList
            waiting={isPending}
            hidden={profiles.length}
            noMatch={{
              title: t('noMatch.title'),
              text: t('noMatch.text', { count: profiles.length }),
              clear: t('noMatch.clear'),
            }}
            onClear={() => {
              setFilter(NO_FILTER);
            }}
          >
            <NoProfiles
              onNew={() => {
                setOpen({ dialog: 'new' });
              }}
            />
          </EmptyList>
        )}
        <Credit />
      </section>
      {open?.dialog === 'new' && <NewProfileDialog onClose={close} />}
      {open?.dialog === 'import' && (
        <ImportDialog files={open.files} profiles={profiles} workers={keepers} onClose={close} />
      )}
      {open?.dialog === 'edit' && <EditProfileDialog profile={open.profile} onClose={close} />}
      {open?.dialog === 'clone' && <CloneDialog profile={open.profile} onClose={close} />}
      {open?.dialog === 'cookies' && <CookiesDialog profile={open.profile} onClose={close} />}
      {open?.dialog === 'delete' && <DeleteProfileDialog profile={open.profile} onClose={close} />}
      {dragged && <p className="drop-here">{t('dropHere')}</p>}
    </>
  );
}

interface FiltersProps {
  profiles: readonly Profile[];
  filter: ProfileFilter;
  onFilter: (filter: ProfileFilter) => void;
  /** Whether they are on several workers. */
  several: boolean;
}

function Filters({ profiles, filter, onFilter, several }: FiltersProps): ReactNode {
  const { t } = useTranslation('profiles');
  const common = { items: profiles, filter, onFilter };
  return (
    <search className="filters">
      <SearchField
        label={t('filters.search')}
        hint={t('filters.searchHint')}
        value={filter.search}
        onChange={(search) => {
          onFilter({ ...filter, search });
        }}
      />
      <LabelFilter {...common} label={t('filters.label')} all={t('filters.allLabels')} />
      {several && (
        <WorkerFilter {...common} label={t('filters.worker')} all={t('filters.allWorkers')} />
      )}
      {filter.name !== '' && (
        <span className="badge">{t('filters.only', { name: filter.name })}</span>
      )}
      {isFiltering(filter) && (
        <ClearButton
          text={t('filters.clear')}
          onClear={() => {
            onFilter(NO_FILTER);
          }}
        />
      )}
    </search>
  );
}

/** Where the places of the checks come from, which a licence wants to be named. */
function Credit(): ReactNode {
  const { workers } = useFleet();
  const states = useStore(profileChecks.states);
  const placed = [...states.values()].some(
    (state) => state.phase === 'checked' && state.result.country !== null,
  );
  const databases = workers.map((worker) => egressFacts(worker)?.city_database ?? null);
  if (!placed || !databases.some(needsCredit)) return null;
  return (
    <p className="hint profile-credit">
      <DbIpCredit />
    </p>
  );
}

/** What is said when there is no profile: what one is, and the possible next step. */
function NoProfiles({ onNew }: { onNew: () => void }): ReactNode {
  const { t } = useTranslation('profiles');
  return (
    <>
      <h3>{t('none.title')}</h3>
      <p>{t('none.what')}</p>
      <p>
        <Trans
          t={t}
          i18nKey="none.how"
          values={{ url: apiUrl('sessions').href }}
          components={{ code: <code /> }}
        />
      </p>
      <button type="button" className="button primary" onClick={onNew}>
        {t('none.new')}
      </button>
    </>
  );
}
