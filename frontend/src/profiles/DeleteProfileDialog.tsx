import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { errorText } from '../api/client.ts';
import type { Profile } from '../api/types.ts';
import { useDeleteProfile } from '../hooks/profiles.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { Field } from '../ui/Field.tsx';
import { notifyInfo } from '../ui/notices.ts';

interface DeleteProfileDialogProps {
  profile: Profile;
  onClose: () => void;
}

/** Deletes a profile once its name was typed: nothing brings it back. */
export function DeleteProfileDialog({ profile, onClose }: DeleteProfileDialogProps): ReactNode {
  const { t } = useTranslation(['profiles', 'panel']);
  const [typed, setTyped] = useState('');
  const { mutate, isPending, error } = useDeleteProfile();
  const { name } = profile;
  const confirmed = typed.trim() === name;
  return (
    <Dialog title={t('deleting.title', { name })} onClose={onClose}>
      <form
        noValidate
        className="launch-form"
        onSubmit={(event) => {
          event.preventDefault();
          if (!confirmed || isPending) return;
          mutate(profile, {
            onSuccess: () => {
              notifyInfo(t('deleting.done', { name }));
              onClose();
            },
          });
        }}
      >
        <p>{t('deleting.loss')}</p>
        <Field label={t('deleting.typed', { name })}>
          {(attributes) => (
            <input
              {...attributes}
              autoCapitalize="none"
              autoComplete="off"
              spellCheck={false}
              value={typed}
              onChange={(event) => {
                setTyped(event.target.value);
              }}
            />
          )}
        </Field>
        {error && (
          <p className="problem" role="alert">
            {errorText(error)}
          </p>
        )}
        <div className="dialog-actions">
          <button type="button" className="button" onClick={onClose}>
            {t('panel:cancel')}
          </button>
          <button type="submit" className="button danger" disabled={!confirmed || isPending}>
            {isPending ? t('deleting.running') : t('deleting.confirm')}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
