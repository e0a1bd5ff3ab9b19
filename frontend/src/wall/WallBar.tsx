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

/** The choice of the number of tiles per page. */
export function LayoutChoice({ layout, onChoose }: LayoutChoiceProps): ReactNode {
  const { t } = useTranslation('wall');
  return (
    <ToggleGroup
      className="choice wall-layouts"
      aria-label={t('layout')}
      value={[String(layout)]}
      onValueChange={([chosen]) => {
        const next = LAYOUTS.find((tiles) => String(tiles) === chosen);
        // Pressing the selected button changes nothing.
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
  /** Zero-based. */
  page: number;
  pages: number;
  onTurn: (page: number) => void;
}

/** The current page of the wall, with buttons for the previous and next. */
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
