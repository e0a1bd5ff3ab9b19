import { Menu } from '@base-ui/react/menu';
import type { ReactNode } from 'react';

import type { Profile } from '../api/types.ts';
import { useTexts } from '../i18n/useTexts.ts';
import { Icon } from '../ui/icons.tsx';
import { MenuPopup } from '../ui/Menu.tsx';

/** What can be done with a profile besides launching it. */
export const PROFILE_ACTIONS = ['edit', 'clone', 'export', 'cookies', 'delete'] as const;

/** One of them. */
export type ProfileAction = (typeof PROFILE_ACTIONS)[number];

/** Handlers of a row's actions. */
export interface ProfileCallbacks {
  onLaunch: (profile: Profile) => void;
  onAction: (action: ProfileAction, profile: Profile) => void;
}

/** The actions on a profile: a button for the most common, a menu for the others. */
export function ProfileRowActions({
  profile,
  onLaunch,
  onAction,
}: { profile: Profile } & ProfileCallbacks): ReactNode {
  const t = useTexts('profiles');
  const { name } = profile;
  return (
    <div className="row-actions">
      <button
        type="button"
        className="button small"
        aria-label={t('launchOf', { name })}
        onClick={() => {
          onLaunch(profile);
        }}
      >
        {t('launch')}
      </button>
      <Menu.Root modal={false}>
        <Menu.Trigger className="icon-button" aria-label={t('actionsOf', { name })}>
          <Icon name="more" />
        </Menu.Trigger>
        <MenuPopup label={t('actionsOf', { name })}>
          {PROFILE_ACTIONS.map((action) => (
            <Menu.Item
              key={action}
              onClick={() => {
                onAction(action, profile);
              }}
            >
              {t(`actions.${action}`)}
            </Menu.Item>
          ))}
        </MenuPopup>
      </Menu.Root>
    </div>
  );
}
