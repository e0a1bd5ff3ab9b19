import '../i18n/profiles.ts';
import '../styles/profiles.css';

import { type ReactNode, useCallback, useDeferredValue, useMemo, useRef, useState } from 'react';
import { Trans, useTranslation } from 'react-i18next';
import { useSearchParams } from 'react-router';

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
import { labelsOf } from '../sessions/sessionFilter.ts';
import { FilterSelect } from '../ui/FilterSelect.tsx';
import { Icon } from '../ui/icons.tsx';
import { useFileDrop } from '../ui/useFileDrop.ts';
import { usePageTitle } from '../ui/usePageTitle.ts';

const NO_PROFILES: readonly Profile[] = [];

/** The dialog that is open. */
type Open =
  | { dialog: 'new' }
  | { dialog: 'import'; files: readonly File[] }
  | { dialog: Exclude<ProfileAction, 'export'>; profile: Profile };

/** The filter of the list. Its name is in the address, because other pages link to it. */
function useProfileFilter(): [ProfileFilter, (filter: ProfileFilter) => void] {
  const [others, setOthers] = useState(NO_FILTER);
  const [address, setAddress] = useSearchParams();
  const name = address.get('profile') ?? '';
  const filter = useMemo(() => ({ ...others, name }), [others, name]);
  const setFilter = (changed: ProfileFilter) => {
    setOthers(changed);
    if (changed.name === name) return;
    setAddress(changed.name === '' ? {} : { profile: changed.name }, { replace: true });
  };
  return [filter, setFilter];
}

interface ProfilesPageProps {
  /** Opens the launch form with these fields. */
  onLaunch: (fields: Partial<LaunchDraft>) => void;
}

/** The profiles of all workers. */
export function ProfilesPage({ onLaunch }: ProfilesPageProps): ReactNode {
  const { t } = useTranslation(['profiles', 'panel']);
  usePageTitle(t('title'));
  const { workers } = useFleet();
  const { data, error, isPending } = useProfiles();
  const profiles = data ?? NO_PROFILES;
  const [filter, setFilter] = useProfileFilter();
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
            onNew={() => {
              setOpen({ dialog: 'new' });
            }}
            onClear={() => {
              setFilter(NO_FILTER);
            }}
          />
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
  // Options may lag behind the list, so that typing stays responsive.
  const known = useDeferredValue(profiles);
  const labels = useMemo(() => labelsOf(known), [known]);
  const workers = useMemo(
    () => [...new Set(known.map(({ worker = '' }) => worker))].sort(),
    [known],
  );
  const change = (part: Partial<ProfileFilter>) => {
    onFilter({ ...filter, ...part });
  };
  return (
    <search className="filters">
      <input
        type="search"
        aria-label={t('filters.search')}
        placeholder={t('filters.searchHint')}
        value={filter.search}
        onChange={(event) => {
          change({ search: event.target.value });
        }}
      />
      <FilterSelect
        label={t('filters.label')}
        all={t('filters.allLabels')}
        value={filter.label}
        choices={labels}
        onChange={(label) => {
          change({ label });
        }}
      />
      {several && (
        <FilterSelect
          label={t('filters.worker')}
          all={t('filters.allWorkers')}
          value={filter.worker}
          choices={workers}
          onChange={(worker) => {
            change({ worker });
          }}
        />
      )}
      {filter.name !== '' && (
        <span className="badge">{t('filters.only', { name: filter.name })}</span>
      )}
      {isFiltering(filter) && (
        <button
          type="button"
          className="button small"
          onClick={() => {
            onFilter(NO_FILTER);
          }}
        >
          <Icon name="close" />
          {t('filters.clear')}
        </button>
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

interface EmptyListProps {
  waiting: boolean;
  /** How many profiles the filter excludes. */
  hidden: number;
  onNew: () => void;
  onClear: () => void;
}

/** An empty list, with what a profile is and the possible next step. */
function EmptyList({ waiting, hidden, onNew, onClear }: EmptyListProps): ReactNode {
  const { t } = useTranslation(['profiles', 'panel']);
  if (waiting) return <p className="empty card">{t('panel:loading')}</p>;
  if (hidden > 0) {
    return (
      <div className="empty card">
        <h3>{t('noMatch.title')}</h3>
        <p>{t('noMatch.text', { count: hidden })}</p>
        <button type="button" className="button" onClick={onClear}>
          {t('noMatch.clear')}
        </button>
      </div>
    );
  }
  return (
    <div className="empty card">
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
    </div>
  );
}
