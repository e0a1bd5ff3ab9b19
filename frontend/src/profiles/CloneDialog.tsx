import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { errorText } from '../api/client.ts';
import type { CloneRequest, Profile } from '../api/types.ts';
import { useCloneProfile } from '../hooks/profiles.ts';
import { profileNameProblem } from '../launch/validation.ts';
import { PROFILE_NAME_MAX_LENGTH } from '../live/profileName.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { Field } from '../ui/Field.tsx';
import { notifyInfo } from '../ui/notices.ts';

type CloneIdentity = NonNullable<CloneRequest['identity']>;

const IDENTITIES: readonly CloneIdentity[] = ['same', 'new'];

interface CloneDialogProps {
  profile: Profile;
  onClose: () => void;
}

/** Makes another profile of one: a copy with its data, or somebody else by the same request. */
export function CloneDialog({ profile, onClose }: CloneDialogProps): ReactNode {
  const { t } = useTranslation(['profiles', 'panel']);
  const [name, setName] = useState(`${profile.name}-2`.slice(0, PROFILE_NAME_MAX_LENGTH));
  const [identity, setIdentity] = useState<CloneIdentity>('same');
  const { mutate, isPending, error, reset } = useCloneProfile(profile);
  const field = useRef<HTMLInputElement>(null);
  const mistake = profileNameProblem(name);
  const problem = error ? errorText(error) : mistake;

  useEffect(() => {
    if (error) field.current?.focus();
  }, [error]);

  return (
    <Dialog title={t('cloning.title', { name: profile.name })} onClose={onClose}>
      <form
        noValidate
        className="launch-form"
        onSubmit={(event) => {
          event.preventDefault();
          if (mistake !== undefined || isPending) return;
          mutate(
            { name: name.trim(), identity },
            {
              onSuccess: (made) => {
                notifyInfo(t('cloning.done', { name: profile.name, clone: made.name }));
                onClose();
              },
            },
          );
        }}
      >
        <Field label={t('cloning.name')} problem={problem}>
          {(attributes) => (
            <input
              {...attributes}
              ref={field}
              autoCapitalize="none"
              autoComplete="off"
              spellCheck={false}
              maxLength={PROFILE_NAME_MAX_LENGTH}
              value={name}
              onChange={(event) => {
                setName(event.target.value);
                reset();
              }}
            />
          )}
        </Field>
        <fieldset className="label-fields">
          <legend>{t('cloning.identity')}</legend>
          {IDENTITIES.map((one) => (
            <label key={one} className="check">
              <input
                type="radio"
                name="clone-identity"
                checked={identity === one}
                onChange={() => {
                  setIdentity(one);
                }}
              />
              <span>
                {t(`cloning.identities.${one}`)}
                <span className="hint">{t(`cloning.hints.${one}`)}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <div className="dialog-actions">
          <button type="button" className="button" onClick={onClose}>
            {t('panel:cancel')}
          </button>
          <button type="submit" className="button primary" disabled={isPending}>
            {isPending ? t('cloning.running') : t('cloning.confirm')}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
