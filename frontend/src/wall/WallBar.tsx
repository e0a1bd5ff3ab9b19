import { Toggle } from '@base-ui/react/toggle';
import { ToggleGroup } from '@base-ui/react/toggle-group';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { IconButton } from '../ui/IconButton.tsx';
import { LAYOUTS, type Layout } from './preferences.ts';

interface LayoutChoiceProps {
  layout: Layout;
  onChoose: (layout: Layout) => void;
}

/** How many tiles a page of the wall has. */
export function LayoutChoice({ layout, onChoose }: LayoutChoiceProps): ReactNode {
  const { t } = useTranslation('wall');
  return (
    <ToggleGroup
      className="choice wall-layouts"
      aria-label={t('layout')}
      value={[String(layout)]}
      onValueChange={([chosen]) => {
        const next = LAYOUTS.find((tiles) => String(tiles) === chosen);
        // Pressing the one that is on already changes nothing.
        if (next) onChoose(next);
      }}
    >
      {LAYOUTS.map((tiles) => (
        <Toggle
          key={tiles}
          value={String(tiles)}
          className="button small"
          aria-label={t('tiles', { count: tiles })}
          title={t('tiles', { count: tiles })}
        >
          {tiles}
        </Toggle>
      ))}
    </ToggleGroup>
  );
}

interface PagerProps {
  /** From 0. */
  page: number;
  pages: number;
  onTurn: (page: number) => void;
}

/** Which page of the wall is shown, and the way to the others. */
export function Pager({ page, pages, onTurn }: PagerProps): ReactNode {
  const { t } = useTranslation('wall');
  if (pages === 1) return null;
  return (
    <nav className="pager" aria-label={t('pages')}>
      <IconButton
        icon="previous"
        label={t('previous')}
        disabled={page === 0}
        onClick={() => {
          onTurn(page - 1);
        }}
      />
      <span role="status">{t('page', { page: page + 1, pages })}</span>
      <IconButton
        icon="next"
        label={t('next')}
        disabled={page === pages - 1}
        onClick={() => {
          onTurn(page + 1);
        }}
      />
    </nav>
  );
}
