import { type ReactNode, useId, useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { errorText } from '../api/client.ts';
import { readCookiesAsText } from '../api/profiles.ts';
import type { Cookie, Profile } from '../api/types.ts';
import { useCookies, useReplaceCookies } from '../hooks/profiles.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { saveFile } from '../ui/download.ts';
import { Field } from '../ui/Field.tsx';
import { momentText } from '../ui/format.ts';
import { notifyError, notifyInfo } from '../ui/notices.ts';

/** How many cookies are shown at a time; a search finds the others. */
const MOST_SHOWN = 200;
/** The largest body that the API accepts, in bytes. */
const MOST_BYTES = 8 << 20;

interface CookiesDialogProps {
  profile: Profile;
  onClose: () => void;
}

/** The cookies of a profile: shown, saved as a file, replaced. */
export function CookiesDialog({ profile, onClose }: CookiesDialogProps): ReactNode {
  const { t } = useTranslation('profiles');
  const { data, error, isFetching, refetch } = useCookies(profile);
  const [replacing, setReplacing] = useState(false);
  return (
    <Dialog title={t('cookies.title', { name: profile.name })} onClose={onClose}>
      <div className="cookies">
        {replacing ? (
          <Replacement
            profile={profile}
            onDone={() => {
              setReplacing(false);
            }}
          />
        ) : (
          <>
            {isFetching && (
              <p className="quiet" role="status">
                {profile.used_by === null ? t('cookies.starting') : t('cookies.reading')}
              </p>
            )}
            {!isFetching && error && (
              <>
                <p className="problem" role="alert">
                  {errorText(error)}
                </p>
                <button type="button" className="button" onClick={() => void refetch()}>
                  {t('cookies.retry')}
                </button>
              </>
            )}
            {!isFetching && data && <CookieTable cookies={data} />}
            <div className="dialog-actions">
              <Downloads profile={profile} cookies={isFetching ? undefined : data} />
              <button
                type="button"
                className="button"
                onClick={() => {
                  setReplacing(true);
                }}
              >
                {t('cookies.replace')}
              </button>
            </div>
          </>
        )}
      </div>
    </Dialog>
  );
}

function Downloads({
  profile,
  cookies,
}: {
  profile: Profile;
  cookies: readonly Cookie[] | undefined;
}): ReactNode {
  const { t } = useTranslation('profiles');
  const [busy, setBusy] = useState(false);
  const { name } = profile;
  const saveText = async () => {
    setBusy(true);
    try {
      const text = await readCookiesAsText(profile);
      saveFile(new Blob([text], { type: 'text/plain' }), `${name}.cookies.txt`);
    } catch (error) {
      notifyError(t('cookies.notSaved', { reason: errorText(error) }));
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <button
        type="button"
        className="button"
        disabled={cookies === undefined}
        onClick={() => {
          const json = JSON.stringify(cookies, null, 2);
          saveFile(new Blob([json], { type: 'application/json' }), `${name}.cookies.json`);
        }}
      >
        {t('cookies.saveJson')}
      </button>
      <button
        type="button"
        className="button"
        disabled={cookies === undefined || busy}
        onClick={() => void saveText()}
      >
        {busy ? t('cookies.saving') : t('cookies.saveText')}
      </button>
    </>
  );
}

function CookieTable({ cookies }: { cookies: readonly Cookie[] }): ReactNode {
  const { t } = useTranslation('profiles');
  const [search, setSearch] = useState('');
  const found = useMemo(() => {
    const wanted = search.trim().toLowerCase();
    return cookies.filter(({ name, domain }) => `${domain} ${name}`.toLowerCase().includes(wanted));
  }, [cookies, search]);
  if (cookies.length === 0) return <p className="quiet">{t('cookies.none')}</p>;
  return (
    <>
      <input
        type="search"
        aria-label={t('cookies.search')}
        placeholder={t('cookies.search')}
        value={search}
        onChange={(event) => {
          setSearch(event.target.value);
        }}
      />
      {/* It scrolls, so it has to be reachable by keyboard. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div className="cookie-frame" role="region" aria-label={t('cookies.list')} tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t('cookies.columns.domain')}</th>
              <th scope="col">{t('cookies.columns.name')}</th>
              <th scope="col">{t('cookies.columns.value')}</th>
              <th scope="col">{t('cookies.columns.expires')}</th>
              <th scope="col">{t('cookies.columns.flags')}</th>
            </tr>
          </thead>
          <tbody>
            {found.slice(0, MOST_SHOWN).map((cookie, index) => (
              <CookieRow
                key={[cookie.domain, cookie.path, cookie.name, index].join('\n')}
                cookie={cookie}
              />
            ))}
          </tbody>
        </table>
      </div>
      <p className="quiet">
        {found.length > MOST_SHOWN
          ? t('cookies.more', { shown: MOST_SHOWN, count: found.length })
          : t('cookies.count', { count: found.length })}
      </p>
    </>
  );
}

function CookieRow({ cookie }: { cookie: Cookie }): ReactNode {
  const { t } = useTranslation('profiles');
  const { domain, path = '/', name, value, expires = -1, secure, httpOnly, sameSite } = cookie;
  const flags = [secure && 'Secure', httpOnly && 'HttpOnly', sameSite].filter(Boolean);
  return (
    <tr>
      <td>
        {domain}
        {path !== '/' && <span className="quiet">{path}</span>}
      </td>
      <td>{name}</td>
      <td>
        <code title={value}>{value}</code>
      </td>
      <td>
        {expires > 0 ? momentText(new Date(expires * 1000).toISOString()) : t('cookies.ofSession')}
      </td>
      <td>{flags.join(', ')}</td>
    </tr>
  );
}

interface ReplacementProps {
  profile: Profile;
  onDone: () => void;
}

/** Takes cookies from a file or pasted text. */
function Replacement({ profile, onDone }: ReplacementProps): ReactNode {
  const { t } = useTranslation(['profiles', 'panel']);
  const [text, setText] = useState('');
  const [problem, setProblem] = useState<string | null>(null);
  const { mutate, isPending, error, reset } = useReplaceCookies(profile);
  const file = useId();
  const shown = error ? errorText(error) : (problem ?? undefined);
  const read = async (chosen: File) => {
    if (chosen.size > MOST_BYTES) {
      setProblem(t('cookies.tooLarge'));
      return;
    }
    try {
      const content = await chosen.text();
      setText(content);
      setProblem(null);
      reset();
    } catch (failure) {
      setProblem(t('cookies.unreadable', { reason: errorText(failure) }));
    }
  };
  return (
    <form
      noValidate
      className="launch-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (isPending) return;
        if (text.trim() === '') {
          setProblem(t('cookies.empty'));
          return;
        }
        mutate(text, {
          onSuccess: () => {
            notifyInfo(t('cookies.replaced', { name: profile.name }));
            onDone();
          },
        });
      }}
    >
      <p className="quiet">{t('cookies.replaceHint')}</p>
      <div className="field">
        <label htmlFor={file}>{t('cookies.file')}</label>
        <input
          id={file}
          type="file"
          accept=".json,.txt,application/json,text/plain"
          onChange={({ target }) => {
            const chosen = target.files?.[0];
            if (chosen) void read(chosen);
          }}
        />
      </div>
      <Field label={t('cookies.text')} hint={t('cookies.textHint')} problem={shown}>
        {(attributes) => (
          <textarea
            {...attributes}
            rows={8}
            className="code"
            spellCheck={false}
            value={text}
            onChange={(event) => {
              setText(event.target.value);
              setProblem(null);
              reset();
            }}
          />
        )}
      </Field>
      <div className="dialog-actions">
        <button type="button" className="button" onClick={onDone}>
          {t('panel:cancel')}
        </button>
        <button type="submit" className="button danger" disabled={isPending}>
          {isPending ? t('cookies.replacing') : t('cookies.confirm')}
        </button>
      </div>
    </form>
  );
}
