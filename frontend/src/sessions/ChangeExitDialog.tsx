import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { errorText } from '../api/client.ts';
import type { Session } from '../api/types.ts';
import { useFleet } from '../hooks/fleet.ts';
import { useChangeProxy } from '../hooks/mutations.ts';
import { draftOf, inFields, toProxy } from '../live/proxyDraft.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { notifyInfo } from '../ui/notices.ts';
import { exitText, proxyRefusal } from './exits.ts';
import { ProxyFields } from './ProxyFields.tsx';
import { ownProxyProblem } from './proxyProblem.ts';
import { shortId } from './sessionText.ts';

interface ChangeExitDialogProps {
  session: Session;
  onClose: () => void;
}

/** Chooses another exit for a running session. */
export function ChangeExitDialog({ session, onClose }: ChangeExitDialogProps): ReactNode {
  const { t } = useTranslation(['network', 'panel']);
  const id = shortId(session.id);
  const workers = useFleet().workers.filter(({ name }) => name === session.worker);
  const [draft, setDraft] = useState(() => draftOf(session.proxy));
  const [attempts, setAttempts] = useState(0);
  const { mutate, isPending, error, reset } = useChangeProxy();
  const form = useRef<HTMLFormElement>(null);
  const mistake = ownProxyProblem(draft);
  const refused = proxyRefusal(error);
  const problem = refused ?? (attempts > 0 ? mistake : undefined);

  useEffect(() => {
    form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [attempts, refused]);

  const submit = () => {
    setAttempts(attempts + 1);
    if (mistake !== undefined || isPending) return;
    setDraft(inFields(draft));
    mutate(
      { session, proxy: toProxy(draft) },
      {
        onSuccess: ({ proxy }) => {
          notifyInfo(
            proxy === null
              ? t('changing.doneDirect', { id })
              : t('changing.done', { id, exit: exitText(proxy) }),
          );
          onClose();
        },
      },
    );
  };

  return (
    <Dialog title={t('changing.title', { id })} onClose={onClose}>
      <form
        ref={form}
        noValidate
        className="launch-form"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <p className="quiet">
          {t('changing.effect')}
          {session.proxy?.server != null && ` ${t('changing.secret')}`}
        </p>
        <ProxyFields
          draft={draft}
          workers={workers}
          worker={session.worker}
          problem={problem}
          onChange={(changed) => {
            setDraft(changed);
            reset();
          }}
        />
        {error && refused === null && (
          <p className="problem" role="alert">
            {errorText(error)}
          </p>
        )}
        <div className="dialog-actions">
          <button type="button" className="button" onClick={onClose}>
            {isPending ? t('panel:close') : t('panel:cancel')}
          </button>
          <button type="submit" className="button primary" disabled={isPending}>
            {isPending ? t('changing.running') : t('changing.confirm')}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
