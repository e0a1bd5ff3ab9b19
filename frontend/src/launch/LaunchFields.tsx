import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { IDLE_TTL_SECONDS, LONG_IDLE_TTL_SECONDS, type LaunchProblems } from './validation.ts';
import { type LaunchDraft } from '../live/launchDraft.ts';
import { identityOfProfile } from '../live/identityDraft.ts';
import type { Profile, WorkerStatus } from '../api/types.ts';
import { candidates, type Default, defaultOf } from './defaults.ts';
import { wholeUnitText } from '../ui/format.ts';
import { ChoiceField, Field } from '../ui/Field.tsx';
import { egressFacts, profileExitText } from '../sessions/exits.ts';
import { ProxyFields } from '../sessions/ProxyFields.tsx';
import { BlockFields } from './BlockFields.tsx';
import { IdentityFields } from './IdentityFields.tsx';
import { LabelFields } from './LabelFields.tsx';
import { MachineFields, drawsMachines } from './MachineFields.tsx';
import { ProfileFields } from './ProfileFields.tsx';

const NO_PROBLEMS = {};

interface LaunchFieldsProps {
  draft: LaunchDraft;
  workers: readonly WorkerStatus[];
  profiles: readonly Profile[];
  /** The profile that is named, if it exists. */
  profile: Profile | null;
  problems: LaunchProblems;
  onChange: (part: Partial<LaunchDraft>) => void;
}

/** All fields of a create request, with the defaults that apply to empty ones. */
export function LaunchFields(props: LaunchFieldsProps): ReactNode {
  const { draft, workers, profiles, profile, problems, onChange } = props;
  const { t } = useTranslation('launch');
  const idleTtl = defaultOf('idle_ttl_seconds', workers, draft);
  const startUrl = defaultOf('start_url', workers, draft);

  const eligible = candidates(workers, draft);

  const named = <T,>(value: Default<T>, name: (value: NonNullable<T>) => string): string => {
    if (value.kind === 'varies') return t('defaultVaries');
    return value.kind === 'none' ? t('default') : t('defaultIs', { value: name(value.value) });
  };
  const remarksOn = (worker: WorkerStatus): string[] => {
    const facts = 'facts' in worker.detail ? worker.detail.facts : null;
    const capacity = facts?.capacity ?? Infinity;
    return [
      ...(worker.healthy ? [] : [t('remarks.unhealthy')]),
      ...(worker.draining ? [t('remarks.draining')] : []),
      ...(worker.sessions >= capacity ? [t('remarks.full')] : []),
      ...(worker.supports_vnc ? [] : [t('remarks.noView')]),
    ];
  };
  const workerChoices = workers.map((worker): [string, string] => {
    const remarks = remarksOn(worker);
    return [
      worker.name,
      remarks.length > 0 ? `${worker.name} (${remarks.join(', ')})` : worker.name,
    ];
  });
  // A worker that has left the fleet stays visible until another is chosen.
  const gone = draft.worker !== '' && !workers.some(({ name }) => name === draft.worker);

  const idleTtlHint = () => {
    if (draft.profile.trim() !== '') return t('longIdleTtlHint', LONG_IDLE_TTL_SECONDS);
    if (idleTtl.kind === 'varies') return t('idleTtlHintVaries', IDLE_TTL_SECONDS);
    if (idleTtl.kind === 'none') return t('idleTtlHint', IDLE_TTL_SECONDS);
    const value = wholeUnitText(idleTtl.value);
    return t('idleTtlHintIs', { ...IDLE_TTL_SECONDS, value });
  };
  const startUrlHint = () => {
    if (startUrl.kind === 'varies') return t('startUrlHintVaries');
    if (startUrl.kind === 'none') return t('startUrlHint');
    return t('startUrlHintIs', { value: startUrl.value });
  };

  return (
    <>
      <div className="field">
        <label className="check">
          <input
            type="checkbox"
            checked={draft.vnc}
            aria-invalid={problems.vnc !== undefined}
            aria-describedby={problems.vnc && 'launch-vnc-problem'}
            onChange={(event) => {
              onChange({ vnc: event.target.checked });
            }}
          />
          <span>
            {t('liveView')}
            <span className="hint">{t('liveViewHint')}</span>
          </span>
        </label>
        {problems.vnc !== undefined && (
          <p className="problem" id="launch-vnc-problem" role="alert">
            {problems.vnc}
          </p>
        )}
      </div>
      <ProfileFields
        draft={draft}
        profiles={profiles}
        chosen={profile}
        problem={problems.profile}
        onChange={onChange}
      />
      <div className="columns">
        <ChoiceField
          label={t('worker')}
          value={draft.worker}
          problem={problems.worker}
          choices={[
            ['', t('anyWorker')],
            ...(gone ? [[draft.worker, draft.worker] as [string, string]] : []),
            ...workerChoices,
          ]}
          onChange={(worker) => {
            onChange({ worker });
          }}
        />
        <ChoiceField
          label={t('headless')}
          value={draft.vnc ? 'false' : draft.headless}
          disabled={draft.vnc}
          {...(draft.vnc && { hint: t('headlessOfView') })}
          choices={[
            ['', named(defaultOf('headless', workers, draft), (yes) => (yes ? t('yes') : t('no')))],
            ['true', t('yes')],
            ['false', t('no')],
          ]}
          onChange={(headless) => {
            onChange({ headless });
          }}
        />
        <Field label={t('idleTtl')} hint={idleTtlHint()} problem={problems.idleTtlSeconds}>
          {(attributes) => (
            <input
              {...attributes}
              inputMode="numeric"
              placeholder={idleTtl.kind === 'known' ? String(idleTtl.value) : undefined}
              value={draft.idleTtlSeconds}
              onChange={(event) => {
                onChange({ idleTtlSeconds: event.target.value });
              }}
            />
          )}
        </Field>
        <ChoiceField
          label={t('onCrash')}
          value={draft.onCrash}
          choices={[
            ['', t('builtIn', { value: t('onCrashes.restart') })],
            ['restart', t('onCrashes.restart')],
            ['end', t('onCrashes.end')],
          ]}
          onChange={(onCrash) => {
            onChange({ onCrash });
          }}
        />
      </div>
      <Field label={t('startUrl')} hint={startUrlHint()} problem={problems.startUrl}>
        {(attributes) => (
          <input
            {...attributes}
            inputMode="url"
            autoCapitalize="none"
            spellCheck={false}
            placeholder={startUrl.kind === 'known' ? startUrl.value : undefined}
            value={draft.startUrl}
            onChange={(event) => {
              onChange({ startUrl: event.target.value });
            }}
          />
        )}
      </Field>
      <div className="columns">
        <ChoiceField
          label={t('startUrlWait')}
          value={draft.startUrlWait}
          choices={[
            [
              '',
              named(defaultOf('start_url_wait', workers, draft), (wait) =>
                t(`startUrlWaits.${wait}`),
              ),
            ],
            ['load', t('startUrlWaits.load')],
            ['domcontentloaded', t('startUrlWaits.domcontentloaded')],
            ['none', t('startUrlWaits.none')],
          ]}
          onChange={(startUrlWait) => {
            onChange({ startUrlWait });
          }}
        />
        <ChoiceField
          label={t('contexts')}
          value={draft.contexts}
          choices={[
            ['', t('builtIn', { value: t('contextsOf.keep') })],
            ['keep', t('contextsOf.keep')],
            ['discard', t('contextsOf.discard')],
          ]}
          onChange={(contexts) => {
            onChange({ contexts });
          }}
        />
      </div>
      <ProxyFields
        draft={draft.proxy}
        workers={eligible}
        worker={draft.worker === '' ? (profile?.worker ?? '') : draft.worker}
        profile={profile && { name: profile.name, exit: profileExitText(profile.proxy) }}
        problem={problems.proxy}
        onChange={(proxy) => {
          onChange({ proxy });
        }}
      />
      {profile !== null && (
        <p className="remark">
          {profile.identity === null
            ? t('profile.identityUnknown', { name: profile.name })
            : t('profile.identityLocked', { name: profile.name })}
        </p>
      )}
      <IdentityFields
        draft={profile === null ? draft.identity : identityOfProfile(profile, draft.identity)}
        problems={profile === null ? problems : NO_PROBLEMS}
        locked={profile !== null}
        workers={eligible}
        onChange={(identity) => {
          // What was typed is kept for a session without this profile.
          const { coherence } = identity;
          onChange({ identity: profile === null ? identity : { ...draft.identity, coherence } });
        }}
      />
      {profile === null && eligible.some(drawsMachines) && (
        <MachineFields
          draft={draft.machine}
          problems={problems}
          onChange={(machine) => {
            onChange({ machine });
          }}
        />
      )}
      <BlockFields
        chosen={draft.block}
        facts={eligible.map(egressFacts).filter((facts) => facts !== null)}
        problem={problems.block}
        onChange={(block) => {
          onChange({ block });
        }}
      />
      <LabelFields
        rows={draft.labels}
        problems={problems.labels}
        problem={problems.allLabels}
        onChange={(labels) => {
          onChange({ labels });
        }}
      />
    </>
  );
}
