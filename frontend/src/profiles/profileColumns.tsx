import type { ReactNode } from 'react';

import type { Profile } from '../api/types.ts';
import { useLiveFleet } from '../hooks/fleet.ts';
import type { Texts } from '../i18n/texts.ts';
import { useTexts } from '../i18n/useTexts.ts';
import { exitKey } from '../sessions/exits.ts';
import { sizeText } from '../sessions/identityText.ts';
import { Labels } from '../sessions/SessionIdentity.tsx';
import { sessionPath } from '../sessions/sessionPath.ts';
import { shortId } from '../sessions/sessionText.ts';
import { Ago } from '../ui/Ago.tsx';
import { Flag } from '../ui/Flag.tsx';
import { bytesText } from '../ui/format.ts';
import { ExitCheck } from './ExitCheck.tsx';
import { countryOf, systemOf } from './places.ts';

/** The id of a column. */
export type ProfileColumnId = Exclude<keyof Texts['profiles']['columns'], 'actions'>;

/** One column of the table of profiles. */
export interface ProfileColumn {
  /** Its key in the texts: `profiles:columns.…`. */
  id: ProfileColumnId;
  /** What it is sorted by; without it the column can't be sorted. */
  sortBy?: (profile: Profile) => string | number;
  cell: (profile: Profile) => ReactNode;
  /** Its width in rem; columns without one share the remaining width. */
  width?: number;
  /** Whether the column is left out on windows of medium width. */
  wideOnly?: boolean;
}

function NameCell({ profile }: { profile: Profile }): ReactNode {
  const t = useTexts('profiles');
  const { name, notes, recovered, stale } = profile;
  return (
    <span className="place">
      <strong className="profile-name" title={name}>
        {name}
      </strong>
      {notes !== '' && (
        <span className="quiet" title={notes}>
          {notes}
        </span>
      )}
      {(recovered || stale) && (
        <span className="badges">
          {recovered && (
            <span className="badge busy" title={t('recoveredHint')}>
              {t('recovered')}
            </span>
          )}
          {stale && (
            <span className="badge bad" title={t('staleHint')}>
              {t('stale')}
            </span>
          )}
        </span>
      )}
    </span>
  );
}

function IdentityCell({ profile }: { profile: Profile }): ReactNode {
  const t = useTexts('profiles');
  const { identity, browser, browser_version: version } = profile;
  const country = countryOf(identity);
  const { locale = null, timezone = null, screen = null } = identity ?? {};
  const first = [locale?.join(', '), timezone].filter(Boolean).join(' · ');
  const machine = [systemOf(identity), screen && sizeText(screen)].filter(Boolean);
  const engine = version === null ? browser : `${browser} ${version}`;
  return (
    <span className="place">
      <span title={first}>
        {country !== null && <Flag country={country} />}
        {first !== '' ? first : <span className="quiet">{t('noIdentity')}</span>}
      </span>
      <span className="quiet">{[...machine, engine].join(' · ')}</span>
    </span>
  );
}

function UserCell({ profile: { used_by: user, worker } }: { profile: Profile }): ReactNode {
  const t = useTexts('profiles');
  const { store } = useLiveFleet();
  if (user === null) return <span className="quiet">–</span>;
  // With shared storage the session may be on another worker, and a worker may call itself otherwise than the fleet does.
  const session = store.get().sessions.find(({ id }) => id === user.session);
  const place = { id: user.session, worker: session?.worker ?? worker ?? user.worker };
  return (
    <span className="place">
      <a href={`#${sessionPath(place)}`} aria-label={t('session', { id: shortId(user.session) })}>
        <code>{shortId(user.session)}</code>
      </a>
      <span className="quiet">
        <Ago timestamp={user.since} />
      </span>
    </span>
  );
}

function UsedCell({ profile }: { profile: Profile }): ReactNode {
  const t = useTexts('profiles');
  const { last_used_at: used } = profile;
  return used === null ? <span className="quiet">{t('never')}</span> : <Ago timestamp={used} />;
}

/** The columns of profiles. */
export const PROFILE_COLUMNS: readonly ProfileColumn[] = [
  {
    id: 'profile',
    sortBy: ({ name }) => name.toLowerCase(),
    cell: (profile) => <NameCell profile={profile} />,
  },
  {
    id: 'identity',
    sortBy: ({ identity }) => `${countryOf(identity) ?? '~'} ${identity?.timezone ?? ''}`,
    cell: (profile) => <IdentityCell profile={profile} />,
    width: 17,
  },
  {
    id: 'exit',
    sortBy: ({ proxy }) => (proxy === null ? '' : exitKey(proxy)),
    cell: (profile) => <ExitCheck profile={profile} />,
    width: 18,
  },
  {
    id: 'labels',
    sortBy: ({ labels }) => Object.entries(labels).flat().join(' '),
    cell: ({ labels }) => <Labels labels={labels} />,
    width: 10,
    wideOnly: true,
  },
  {
    id: 'worker',
    sortBy: ({ worker = '' }) => worker,
    cell: ({ worker = '' }) => (
      <span className="place">
        <span title={worker}>{worker}</span>
      </span>
    ),
    width: 6,
    wideOnly: true,
  },
  {
    id: 'size',
    sortBy: ({ size_bytes: size }) => size,
    cell: ({ size_bytes: size }) => (
      <span className="number">{size === 0 ? '–' : bytesText(size)}</span>
    ),
    width: 5.5,
  },
  {
    id: 'used',
    sortBy: ({ last_used_at: used }) => (used === null ? 0 : Date.parse(used)),
    cell: (profile) => <UsedCell profile={profile} />,
    width: 7,
  },
  {
    id: 'user',
    sortBy: ({ used_by: user }) => (user === null ? 0 : Date.parse(user.since)),
    cell: (profile) => <UserCell profile={profile} />,
    width: 6.5,
  },
];
