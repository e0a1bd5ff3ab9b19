import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import { usePageTitle } from '../ui/usePageTitle.ts';

/** The page for an unknown address. */
export function NoSuchPage(): ReactNode {
  const { t } = useTranslation();
  usePageTitle(t('noSuchPage.title'));
  return (
    <div className="empty card">
      <h2>{t('noSuchPage.title')}</h2>
      <p>{t('noSuchPage.text')}</p>
      <Link className="button primary" to="/">
        {t('toSessions')}
      </Link>
    </div>
  );
}
