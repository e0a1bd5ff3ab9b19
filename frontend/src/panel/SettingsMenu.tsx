import { Menu } from '@base-ui/react/menu';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { useStore } from '../lib/useStore.ts';
import { type Language, language, LANGUAGES } from '../i18n/language.ts';
import { type Theme, theme, THEMES } from '../ui/theme.ts';
import { Icon } from '../ui/icons.tsx';
import { MenuPopup } from '../ui/Menu.tsx';

interface SettingsMenuProps {
  /** Removes the access token; `null` if there is none. */
  onForgetToken: (() => void) | null;
}

/** The user's settings: theme, language, and removing the token. */
export function SettingsMenu({ onForgetToken }: SettingsMenuProps): ReactNode {
  const { t } = useTranslation();
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger
        className="icon-button"
        aria-label={t('settings.title')}
        title={t('settings.title')}
      >
        <Icon name="settings" />
      </Menu.Trigger>
      <MenuPopup label={t('settings.title')}>
        <Choice<Theme>
          title={t('settings.theme')}
          value={useStore(theme)}
          choices={THEMES.map((id) => [id, t(`settings.themes.${id}`)])}
          onChoose={(chosen) => {
            theme.set(chosen);
          }}
        />
        <Choice<Language>
          title={t('settings.language')}
          value={useStore(language)}
          choices={Object.entries(LANGUAGES) as [Language, string][]}
          onChoose={(chosen) => {
            language.set(chosen);
          }}
        />
        {onForgetToken && (
          <>
            <Menu.Separator className="menu-separator" />
            <Menu.Item onClick={onForgetToken}>{t('settings.forgetToken')}</Menu.Item>
          </>
        )}
      </MenuPopup>
    </Menu.Root>
  );
}

interface ChoiceProps<T extends string> {
  title: string;
  value: T;
  choices: readonly (readonly [T, string])[];
  onChoose: (id: T) => void;
}

function Choice<T extends string>({ title, value, choices, onChoose }: ChoiceProps<T>): ReactNode {
  return (
    <Menu.Group>
      <Menu.GroupLabel className="menu-title">{title}</Menu.GroupLabel>
      <Menu.RadioGroup
        value={value}
        onValueChange={(chosen: T) => {
          onChoose(chosen);
        }}
      >
        {choices.map(([id, text]) => (
          <Menu.RadioItem key={id} value={id} closeOnClick={false}>
            <span className="menu-mark">
              <Menu.RadioItemIndicator>
                <Icon name="check" />
              </Menu.RadioItemIndicator>
            </span>
            {text}
          </Menu.RadioItem>
        ))}
      </Menu.RadioGroup>
    </Menu.Group>
  );
}
