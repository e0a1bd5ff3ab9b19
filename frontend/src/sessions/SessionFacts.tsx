import type { TFunction } from 'i18next';
import type { ReactNode } from 'react';
import { Trans, useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import type { Session } from '../api/types.ts';
import { copyToClipboard } from '../ui/clipboard.ts';
import { durationText, momentText } from '../ui/format.ts';
import { IconButton } from '../ui/IconButton.tsx';
import { sizeText, systemText } from './identityText.ts';
import { profilePath } from './profilePath.ts';
import { Labels } from './SessionIdentity.tsx';
import { contradictionText, endsWhenIdle, idleText } from './sessionText.ts';
import { IdleCountdown } from './IdleCountdown.tsx';
import { Ago } from '../ui/Ago.tsx';

/** The properties of a session as a list. */
export function SessionFacts({ session }: { session: Session }): ReactNode {
  const { t } = useTranslation('session');
  const { start_url: startUrl, start_url_error: startUrlError, request_id: requestId } = session;
  const alive = session.status !== 'DEAD';
  return (
    <section className="card page-card" aria-labelledby="facts-title">
      <h3 id="facts-title">{t('facts.title')}</h3>
      <dl className="facts">
        <Fact name={t('facts.id')}>
          <Copyable text={session.id} copy={t('facts.copyId')} what={t('facts.copiedId')} />
        </Fact>
        <Fact name={t('facts.worker')}>{session.worker}</Fact>
        <Fact name={t('facts.engine')}>
          {session.browser} {session.browser_version ?? ''}
        </Fact>
        <Fact name={t('facts.screen')}>{screenText(t, session)}</Fact>
        {session.profile && (
          <Fact name={t('facts.profile')}>
            <Link to={profilePath(session.profile)}>{session.profile}</Link>{' '}
            {session.profile_mode && (
              <span className="quiet">{t(`profileModes.${session.profile_mode}`)}</span>
            )}
          </Fact>
        )}
        <IdentityFacts identity={session.identity} />
        {session.contradictions !== null && session.contradictions.length > 0 && (
          <Fact name={t('facts.contradictions')}>
            {session.contradictions.map((contradiction) => (
              <p key={contradiction.field} className="problem">
                {contradictionText(contradiction)}
              </p>
            ))}
          </Fact>
        )}
        <Fact name={t('facts.labels')}>
          <Labels labels={session.labels} />
        </Fact>
        <Fact name={t('facts.created')}>
          {momentText(session.created_at)}{' '}
          <span className="quiet">
            (<Ago timestamp={session.created_at} />)
          </span>
        </Fact>
        <Fact name={t('facts.activity')}>
          <Ago timestamp={session.last_seen_at} />
        </Fact>
        <Fact name={t('facts.idleTtl')}>
          {!endsWhenIdle(session) ? (
            t('facts.noIdleTtl')
          ) : session.status === 'READY' ? (
            <Trans
              t={t}
              i18nKey="facts.idleLeft"
              values={{ time: idleText(session.idle_ttl_seconds) }}
              components={{ left: <IdleCountdown session={session} /> }}
            />
          ) : (
            idleText(session.idle_ttl_seconds)
          )}
        </Fact>
        {!alive && session.ended_at && (
          <Fact name={t('facts.lived')}>{durationText(session.created_at, session.ended_at)}</Fact>
        )}
        {alive && <Fact name={t('facts.attached')}>{session.attached}</Fact>}
        <Fact name={t('facts.restarts')}>{session.restarts}</Fact>
        <Fact name={t('facts.onCrash')}>{t(`onCrash.${session.on_crash}`)}</Fact>
        <Fact name={t('facts.contexts')}>{t(`contexts.${session.contexts}`)}</Fact>
        <Fact name={t('facts.startUrl')}>
          {startUrl ? (
            <>
              <span>{startUrl}</span>{' '}
              <span className="quiet">{t('facts.waitsFor', { what: session.start_url_wait })}</span>
            </>
          ) : (
            <span className="quiet">–</span>
          )}
          {startUrlError && <p className="problem">{startUrlError}</p>}
        </Fact>
        {requestId && (
          <Fact name={t('facts.request')}>
            <Copyable
              text={requestId}
              copy={t('facts.copyRequest')}
              what={t('facts.copiedRequest')}
            />
          </Fact>
        )}
      </dl>
    </section>
  );
}

/** What pages learn of the user and machine, where the request has set it. */
function IdentityFacts({ identity }: { identity: Session['identity'] }): ReactNode {
  const { t } = useTranslation('session');
  if (!identity) return null;
  const { locale, timezone, geolocation, screen, webrtc, os, seed } = identity;
  const preferences = Object.entries(identity.user_preferences);
  return (
    <>
      {locale && <Fact name={t('facts.languages')}>{locale.join(', ')}</Fact>}
      {timezone && <Fact name={t('facts.timezone')}>{timezone}</Fact>}
      {geolocation && (
        <Fact name={t('facts.place')}>
          {geolocation.latitude}, {geolocation.longitude}{' '}
          <span className="quiet">{t('facts.within', { metres: geolocation.accuracy })}</span>
        </Fact>
      )}
      {screen && <Fact name={t('facts.size')}>{sizeText(screen)}</Fact>}
      {webrtc && <Fact name={t('facts.webrtc')}>{t(`facts.webrtcOf.${webrtc}`)}</Fact>}
      {identity.block_images && <Fact name={t('facts.images')}>{t('facts.noImages')}</Fact>}
      {preferences.length > 0 && (
        <Fact name={t('facts.preferences')}>
          {preferences.map(([name, value]) => (
            <p key={name}>
              <code>
                {name} = {String(value)}
              </code>
            </p>
          ))}
        </Fact>
      )}
      {os && <Fact name={t('facts.os')}>{os.map(systemText).join(', ')}</Fact>}
      {seed && <Fact name={t('facts.seed')}>{seed}</Fact>}
    </>
  );
}

function screenText(
  t: TFunction<'session'>,
  { status, headless, vnc_enabled: watchable, vnc }: Session,
): string {
  if (headless) return t('screens.none');
  // The API does not remember whether an ended session had a live view.
  if (status === 'DEAD') return t('screens.window');
  if (!watchable) return t('screens.unwatchable');
  return vnc.password_protected ? t('screens.protected') : t('screens.watchable');
}

function Fact({ name, children }: { name: string; children: ReactNode }): ReactNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

interface CopyableProps {
  text: string;
  /** The label of its button. */
  copy: string;
  /** The name of the copied text in the notice. */
  what: string;
}

function Copyable({ text, copy, what }: CopyableProps): ReactNode {
  return (
    <span className="copyable">
      <code>{text}</code>
      <IconButton icon="copy" label={copy} onClick={() => void copyToClipboard(text, what)} />
    </span>
  );
}
