import { lazy, type MouseEvent, type ReactNode, Suspense, useId } from 'react';
import { Trans, useTranslation } from 'react-i18next';

import { liveViewUrl, panelBase, publicUrl } from '../api/base.ts';
import { access } from '../api/token.ts';
import type { Session } from '../api/types.ts';
import { useStore } from '../lib/useStore.ts';
import { shortId } from './sessionText.ts';
import { Icon } from '../ui/icons.tsx';

const InteractiveViewer = lazy(() => import('../vnc/InteractiveViewer.tsx'));

interface LiveViewProps {
  session: Session;
  /** Whether the session is still live. */
  alive?: boolean;
  /** Additional controls for the header. */
  children?: ReactNode;
}

/** A session's live view with its header and a link to a separate window. */
export function LiveView({ session, alive = true, children }: LiveViewProps): ReactNode {
  const { t } = useTranslation('live');
  const titleId = useId();
  const { token } = useStore(access);
  const { vnc } = session;
  return (
    <section className="live-view card" aria-labelledby={titleId}>
      <header className="live-view-header">
        <h3 id={titleId}>
          <Trans
            t={t}
            i18nKey="title"
            values={{ id: shortId(session.id) }}
            components={{ id: <code /> }}
          />
        </h3>
        {vnc.http !== null && <OwnWindowLink address={vnc.http} />}
        {children}
      </header>
      {alive && vnc.ws !== null ? (
        <Suspense fallback={<p className="live-screen-placeholder">{t('loading')}</p>}>
          <InteractiveViewer sessionId={session.id} url={liveViewUrl(vnc.ws, token).href} />
        </Suspense>
      ) : (
        <p className="live-screen-placeholder" role="status">
          {t('ended')}
        </p>
      )}
    </section>
  );
}

/** A link, so that it can be copied or opened in a tab; a plain click opens a window. */
function OwnWindowLink({ address }: { address: string }): ReactNode {
  const { t } = useTranslation('live');
  const url = publicUrl(address);
  // An opener shares sessionStorage, and with it the token, so it is allowed on the panel's own origin only.
  const own = url.origin === panelBase().origin;
  const open = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    window.open(url, '_blank', own ? 'popup,width=1280,height=800' : 'popup,noopener,noreferrer');
  };
  return (
    <a
      className="button small"
      href={url.href}
      target="_blank"
      rel={own ? 'opener' : 'noopener noreferrer'}
      onClick={open}
    >
      <Icon name="external" />
      {t('ownWindow')}
    </a>
  );
}
