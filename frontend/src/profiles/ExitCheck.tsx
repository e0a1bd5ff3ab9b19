import type { ReactNode } from 'react';

import type { Profile, ProxyCheck } from '../api/types.ts';
import { useTexts } from '../i18n/useTexts.ts';
import { useStore } from '../lib/useStore.ts';
import { exitText, shortExitText } from '../sessions/exits.ts';
import { checkErrorText, checkFailureText } from '../sessions/proxyChecks.ts';
import { countryText, unitText } from '../ui/format.ts';
import { profileChecks } from './checks.ts';
import { type Misfit, misfits } from './fit.ts';

/** The exit of a profile, and what its last check says: green, amber or red. */
export function ExitCheck({ profile }: { profile: Profile }): ReactNode {
  const t = useTexts('profiles');
  useStore(profileChecks.states);
  const state = profileChecks.of(profile);
  const running = state.phase === 'running';
  const { name, proxy, identity } = profile;
  return (
    <div className="exit-check">
      <span className="exit-check-proxy">
        {proxy === null ? (
          <span className="quiet" title={t('noProxyHint')}>
            {t('noProxy')}
          </span>
        ) : (
          <span title={exitText(proxy)}>{shortExitText(proxy)}</span>
        )}
        <button
          type="button"
          className="button small"
          aria-label={running ? t('check.stopOf', { name }) : t('check.startOf', { name })}
          onClick={() => {
            if (running) profileChecks.stop(profile);
            else profileChecks.start(profile);
          }}
        >
          {running ? t('check.stop') : t('check.start')}
        </button>
      </span>
      <span className="exit-check-result" role="status" aria-busy={running}>
        {running && <span className="quiet">{t('check.running')}</span>}
        {state.phase === 'failed' && (
          <Verdict tone="bad" word={t('check.none')} text={checkErrorText(state.error)} />
        )}
        {state.phase === 'checked' &&
          (state.result.ok ? (
            <Works result={state.result} found={misfits(identity, state.result)} />
          ) : (
            <Verdict tone="bad" word={t('check.fails')} text={checkFailureText(state.result)} />
          ))}
      </span>
    </div>
  );
}

function Works({ result, found }: { result: ProxyCheck; found: readonly Misfit[] }): ReactNode {
  const t = useTexts('profiles');
  if (found.length > 0) {
    const reasons = found.map(({ field, own, exit }) =>
      t(`check.misfits.${field}`, { own, exit: exit.length === 2 ? countryText(exit) : exit }),
    );
    return <Verdict tone="busy" word={t('check.contradicts')} text={reasons.join('; ')} />;
  }
  const { country, city, timezone, exit_ip: address, latency_ms: latency } = result;
  const facts = [
    country === null ? null : countryText(country),
    city,
    timezone,
    address,
    latency === null ? null : unitText(latency, 'millisecond'),
  ];
  const text = facts.filter((fact) => fact !== null).join(', ');
  const placed = country !== null || timezone !== null;
  return (
    <Verdict
      tone="good"
      word={placed ? t('check.fits') : t('check.works')}
      text={placed ? text : `${text}. ${t('check.noPlace')}`}
    />
  );
}

interface VerdictProps {
  tone: 'good' | 'busy' | 'bad';
  word: string;
  text: string;
}

function Verdict({ tone, word, text }: VerdictProps): ReactNode {
  return (
    <>
      <span className={`badge ${tone}`}>{word}</span>{' '}
      <span className="exit-check-text" title={text}>
        {text}
      </span>
    </>
  );
}
