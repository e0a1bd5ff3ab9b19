import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, NavLink } from 'react-router';

import { ConnectionState } from './ConnectionState.tsx';
import { FleetHealth } from './FleetHealth.tsx';
import { Icon } from '../ui/icons.tsx';
import { SettingsMenu } from './SettingsMenu.tsx';

/** The pages of the navigation. */
const PAGES = [
  { path: '/', name: 'sessions' },
  { path: '/wall', name: 'wall' },
  { path: '/profiles', name: 'profiles' },
  { path: '/workers', name: 'workers' },
  { path: '/fleet', name: 'fleet' },
] as const;

interface TopBarProps {
  /** Whether the API requires an access token; without one there is no navigation. */
  signedOut: boolean;
  onLaunch: () => void;
  onForgetToken: (() => void) | null;
}

/** The header of every page: navigation, health, connection, actions. */
export function TopBar({ signedOut, onLaunch, onForgetToken }: TopBarProps): ReactNode {
  const { t } = useTranslation();
  return (
    <header className="top">
      <h1>
        <Link to="/">camofleet</Link>
      </h1>
      {!signedOut && (
        <>
          <nav className="pages" aria-label={t('pages.label')}>
            {PAGES.map(({ path, name }) => (
              <NavLink key={path} to={path} end>
                {t(`pages.${name}`)}
              </NavLink>
            ))}
          </nav>
          <FleetHealth />
          <ConnectionState />
        </>
      )}
      <div className="top-actions">
        <SettingsMenu onForgetToken={onForgetToken} />
        {!signedOut && (
          <button type="button" className="button primary" onClick={onLaunch}>
            <Icon name="plus" />
            <span>
              {t('launch')} <span className="off-phone">{t('launchSession')}</span>
            </span>
          </button>
        )}
      </div>
    </header>
  );
}
