import { type ReactNode, useId } from 'react';
import { useTranslation } from 'react-i18next';

import { access } from '../api/token.ts';
import { usePageTitle } from '../ui/usePageTitle.ts';
import { useStore } from '../lib/useStore.ts';

/** Asks for the access token when the API requires one. */
export function TokenForm({ onAccept }: { onAccept: () => void }): ReactNode {
  const { t } = useTranslation();
  usePageTitle(t('token.title'));
  const id = useId();
  const { token } = useStore(access);
  return (
    <form
      className="card token-form"
      aria-labelledby={`${id}-title`}
      onSubmit={(event) => {
        event.preventDefault();
        const typed = new FormData(event.currentTarget).get('token');
        if (typeof typed !== 'string' || typed.trim() === '') return;
        access.accept(typed.trim());
        onAccept();
      }}
    >
      <h2 id={`${id}-title`}>{t('token.title')}</h2>
      {token === null ? (
        <p>{t('token.wanted')}</p>
      ) : (
        <p className="problem" role="alert">
          {t('token.refused')}
        </p>
      )}
      <div className="field">
        <label htmlFor={`${id}-token`}>{t('token.field')}</label>
        <input
          id={`${id}-token`}
          name="token"
          type="password"
          autoComplete="current-password"
          required
        />
        <p className="hint">{t('token.hint')}</p>
      </div>
      <button type="submit" className="button primary">
        {t('token.continue')}
      </button>
    </form>
  );
}
