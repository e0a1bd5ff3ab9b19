import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { errorText } from '../api/client.ts';
import type { Profile, WorkerStatus } from '../api/types.ts';
import { useFleet } from '../hooks/fleet.ts';
import { useChangeProfile, useCreateProfile } from '../hooks/profiles.ts';
import { IdentityFields } from '../launch/IdentityFields.tsx';
import { LabelFields } from '../launch/LabelFields.tsx';
import { drawsMachines, MachineFields } from '../launch/MachineFields.tsx';
import { fieldProblem, labelProblems, profileNameProblem } from '../launch/validation.ts';
import { type IdentityDraft, NO_IDENTITY, toIdentity, unreadable } from '../live/identityDraft.ts';
import type { LabelRow } from '../live/launchDraft.ts';
import { ANY_MACHINE, type MachineDraft, toMachine } from '../live/machineDraft.ts';
import { PROFILE_NAME_MAX_LENGTH } from '../live/profileName.ts';
import { DEFAULT_PROXY, inFields, type ProxyDraft, toProxy } from '../live/proxyDraft.ts';
import { profileExitText } from '../sessions/exits.ts';
import { ProxyFields } from '../sessions/ProxyFields.tsx';
import { ownProxyProblem } from '../sessions/proxyProblem.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { ChoiceField, Field } from '../ui/Field.tsx';
import { notifyInfo } from '../ui/notices.ts';

/** The longest notes that the API accepts, in characters. */
const NOTES_MAX_LENGTH = 4096;

interface Draft {
  name: string;
  worker: string;
  proxy: ProxyDraft;
  identity: IdentityDraft;
  machine: MachineDraft;
  labels: LabelRow[];
  notes: string;
}

const EMPTY: Draft = {
  name: '',
  worker: '',
  proxy: DEFAULT_PROXY,
  identity: NO_IDENTITY,
  machine: ANY_MACHINE,
  labels: [],
  notes: '',
};

function draftOf({ name, worker = '', labels, notes }: Profile): Draft {
  const rows = Object.entries(labels).map(([key, value], row) => ({ row, key, value }));
  return { ...EMPTY, name, worker, labels: rows, notes };
}

function labelsOf({ labels }: Draft): Record<string, string> {
  const typed = labels.map(({ key, value }) => [key.trim(), value.trim()] as const);
  return Object.fromEntries(typed.filter(([key]) => key !== ''));
}

/** What is wrong with a draft, by field. */
function findProblems(draft: Draft, isNew: boolean) {
  const [name, proxy] = [
    isNew ? profileNameProblem(draft.name) : undefined,
    ownProxyProblem(draft.proxy),
  ];
  return {
    name,
    proxy,
    labels: labelProblems(draft.labels),
    unreadable: unreadable(draft.identity),
  };
}

/** Workers that keep profiles, as far as they say so. */
function keepers(workers: readonly WorkerStatus[]): readonly WorkerStatus[] {
  return workers.filter(({ detail }) => 'facts' in detail && detail.facts?.profiles != null);
}

/** The form for a new profile. */
export function NewProfileDialog({ onClose }: { onClose: () => void }): ReactNode {
  const { t } = useTranslation('profiles');
  const { mutate, isPending, error, reset } = useCreateProfile();
  return (
    <ProfileForm
      title={t('form.newTitle')}
      confirm={isPending ? t('form.making') : t('form.make')}
      profile={null}
      busy={isPending}
      error={error}
      onChange={reset}
      onClose={onClose}
      onSubmit={(draft) => {
        const proxy = toProxy(draft.proxy);
        mutate(
          {
            name: draft.name.trim(),
            labels: labelsOf(draft),
            notes: draft.notes,
            ...toIdentity(draft.identity),
            ...toMachine(draft.machine),
            ...(proxy !== null && { proxy }),
            ...(draft.worker !== '' && { worker: draft.worker }),
          },
          {
            onSuccess: ({ name }) => {
              notifyInfo(t('form.made', { name }));
              onClose();
            },
          },
        );
      }}
    />
  );
}

interface EditProfileDialogProps {
  profile: Profile;
  onClose: () => void;
}

/** The form for what can be changed of a profile. */
export function EditProfileDialog({ profile, onClose }: EditProfileDialogProps): ReactNode {
  const { t } = useTranslation('profiles');
  const { mutate, isPending, error, reset } = useChangeProfile(profile);
  const { name } = profile;
  return (
    <ProfileForm
      title={t('form.editTitle', { name })}
      confirm={isPending ? t('form.saving') : t('form.save')}
      profile={profile}
      busy={isPending}
      error={error}
      onChange={reset}
      onClose={onClose}
      onSubmit={(draft) => {
        const proxy = toProxy(draft.proxy);
        mutate(
          { labels: labelsOf(draft), notes: draft.notes, ...(proxy !== null && { proxy }) },
          {
            onSuccess: () => {
              notifyInfo(t('form.saved', { name }));
              onClose();
            },
          },
        );
      }}
    />
  );
}

interface ProfileFormProps {
  title: string;
  confirm: string;
  /** The profile that is changed; null for a new one. */
  profile: Profile | null;
  busy: boolean;
  error: Error | null;
  onChange: () => void;
  onSubmit: (draft: Draft) => void;
  onClose: () => void;
}

function ProfileForm(props: ProfileFormProps): ReactNode {
  const { title, confirm, profile, busy, error, onChange, onSubmit, onClose } = props;
  const { t } = useTranslation(['profiles', 'launch', 'panel']);
  const all = useFleet().workers;
  const [draft, setDraft] = useState(() => (profile ? draftOf(profile) : EMPTY));
  const [attempts, setAttempts] = useState(0);
  const form = useRef<HTMLFormElement>(null);
  const workers = keepers(all);
  const eligible = draft.worker === '' ? workers : all.filter(({ name }) => name === draft.worker);
  const withMachine = profile === null && eligible.some(drawsMachines);
  const refused = fieldProblem(error, profile === null, withMachine);
  const found = findProblems(draft, profile === null);
  const valid =
    found.name === undefined &&
    found.proxy === undefined &&
    found.unreadable.length === 0 &&
    Object.keys(found.labels).length === 0;
  const shown = attempts > 0 ? found : null;
  const identityProblems = {
    ...Object.fromEntries(
      (shown?.unreadable ?? []).map((field) => [field, t(`launch:problems.${field}`)]),
    ),
    ...refused,
  };

  useEffect(() => {
    form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [attempts, error]);

  const change = (part: Partial<Draft>) => {
    setDraft({ ...draft, ...part });
    onChange();
  };
  const submit = () => {
    setAttempts(attempts + 1);
    if (!valid || busy) return;
    const sent = { ...draft, proxy: inFields(draft.proxy) };
    setDraft(sent);
    onSubmit(sent);
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        ref={form}
        noValidate
        className="launch-form"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        {profile === null ? (
          <div className="columns">
            <Field
              label={t('form.name')}
              hint={t('form.nameHint')}
              problem={refused?.profile ?? shown?.name}
            >
              {(attributes) => (
                <input
                  {...attributes}
                  autoCapitalize="none"
                  autoComplete="off"
                  spellCheck={false}
                  maxLength={PROFILE_NAME_MAX_LENGTH}
                  value={draft.name}
                  onChange={(event) => {
                    change({ name: event.target.value });
                  }}
                />
              )}
            </Field>
            {workers.length > 1 && (
              <ChoiceField
                label={t('form.worker')}
                value={draft.worker}
                problem={refused?.worker}
                choices={[
                  ['', t('form.anyWorker')],
                  ...workers.map(({ name }): [string, string] => [name, name]),
                ]}
                onChange={(worker) => {
                  change({ worker });
                }}
              />
            )}
          </div>
        ) : (
          <p className="quiet">{t('form.unchangeable')}</p>
        )}
        {profile === null && (
          <IdentityFields
            ofProfile
            draft={draft.identity}
            problems={identityProblems}
            workers={eligible}
            onChange={(identity) => {
              change({ identity });
            }}
          />
        )}
        {withMachine && (
          <MachineFields
            draft={draft.machine}
            problems={identityProblems}
            onChange={(machine) => {
              change({ machine });
            }}
          />
        )}
        <ProxyFields
          draft={draft.proxy}
          workers={eligible}
          worker={draft.worker}
          profile={profile && { name: profile.name, exit: profileExitText(profile.proxy) }}
          problem={refused?.proxy ?? shown?.proxy}
          onChange={(proxy) => {
            change({ proxy });
          }}
        />
        <LabelFields
          rows={draft.labels}
          problems={shown?.labels ?? {}}
          problem={refused?.allLabels}
          onChange={(labels) => {
            change({ labels });
          }}
        />
        <Field label={t('form.notes')}>
          {(attributes) => (
            <textarea
              {...attributes}
              rows={3}
              maxLength={NOTES_MAX_LENGTH}
              value={draft.notes}
              onChange={(event) => {
                change({ notes: event.target.value });
              }}
            />
          )}
        </Field>
        <div className="dialog-actions">
          {error && refused === null && (
            <p className="problem" role="alert">
              {errorText(error)}
            </p>
          )}
          <button type="button" className="button" onClick={onClose}>
            {t('panel:cancel')}
          </button>
          <button type="submit" className="button primary" disabled={busy}>
            {confirm}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
