import type { ReactNode } from 'react';
import { Trans, useTranslation } from 'react-i18next';

import { webSocketUrl } from '../api/base.ts';
import { oneOf, Preference } from '../lib/preference.ts';
import { type Language, LANGUAGES, snippets, TOKEN_VARIABLE } from './snippets.ts';
import { access } from '../api/token.ts';
import type { Session } from '../api/types.ts';
import { usePlaywrightVersion } from '../hooks/fleet.ts';
import { copyToClipboard } from '../ui/clipboard.ts';
import { useStore } from '../lib/useStore.ts';
import { Icon } from '../ui/icons.tsx';
import { Tabs } from '../ui/Tabs.tsx';

const TITLES: Record<Language, string> = {
  node: 'Node',
  python: 'Python',
  java: 'Java',
  dotnet: '.NET',
};

/** Remembered, because most people use one language. */
const language = new Preference<Language>('snippets', 'node', oneOf(...LANGUAGES));

/** How to attach a Playwright client: the session's URL and a snippet for each language. */
export function ConnectSnippets({ session }: { session: Session }): ReactNode {
  const { t } = useTranslation('session');
  const chosen = useStore(language);
  const { token } = useStore(access);
  const url = webSocketUrl(session.ws_endpoint).href;
  const playwright = usePlaywrightVersion(session.worker);
  const programs = snippets(url, token !== null, playwright, session.profile !== null);
  return (
    <section className="card page-card" aria-labelledby="connect-title">
      <h3 id="connect-title">{t('connect.title')}</h3>
      <div className="socket-url">
        <code>{url}</code>
        <button
          type="button"
          className="button small"
          onClick={() => void copyToClipboard(url, t('connect.url'))}
        >
          <Icon name="copy" />
          {t('connect.copyUrl')}
        </button>
      </div>
      {token !== null && (
        <p className="hint">
          <Trans
            t={t}
            i18nKey="connect.token"
            values={{ variable: TOKEN_VARIABLE }}
            components={{ code: <code /> }}
          />
        </p>
      )}
      <Tabs
        label={t('connect.clients')}
        selected={chosen}
        onSelect={(id) => {
          language.set(id);
        }}
        tabs={LANGUAGES.map((id) => ({
          id,
          title: TITLES[id],
          content: <Program title={TITLES[id]} code={programs[id]} />,
        }))}
      />
    </section>
  );
}

function Program({ title, code }: { title: string; code: string }): ReactNode {
  const { t } = useTranslation('session');
  const name = t('connect.program', { client: title });
  return (
    <div className="program">
      <button
        type="button"
        className="button small"
        onClick={() => void copyToClipboard(code, name)}
      >
        <Icon name="copy" />
        {t('connect.copyProgram')}
      </button>
      {/* Long lines scroll, and scrollable content must be reachable by keyboard. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre tabIndex={0} aria-label={name} role="region">
        <code>{code}</code>
      </pre>
    </div>
  );
}
