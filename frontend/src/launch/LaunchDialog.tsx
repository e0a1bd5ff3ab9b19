import { type ReactNode, useEffect, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { errorText } from '../api/client.ts';
import { candidates } from './defaults.ts';
import { drawsMachines } from './MachineFields.tsx';
import { findChoiceProblems, findProblems, isValid, fieldProblem } from './validation.ts';
import { EMPTY_DRAFT, type LaunchDraft, toRequest } from '../live/launchDraft.ts';
import { ofSession } from '../live/identityDraft.ts';
import { ANY_MACHINE } from '../live/machineDraft.ts';
import { type ProxyDraft } from '../live/proxyDraft.ts';
import { apiUrl } from '../api/base.ts';
import { access } from '../api/token.ts';
import { useStore } from '../lib/useStore.ts';
import { copyToClipboard } from '../ui/clipboard.ts';
import { Icon } from '../ui/icons.tsx';
import { curlCommand, hasPassword } from './curl.ts';
import { launchPresets, presetNamed } from './presets.ts';
import type { Profile, WorkerStatus } from '../api/types.ts';
import { useProfiles } from '../hooks/profiles.ts';
import { useLaunches, useLiveFleet } from '../hooks/fleet.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { LaunchFields } from './LaunchFields.tsx';
import { LaunchPresetBar } from './LaunchPresetBar.tsx';

/** The initial state of the form. */
export interface LaunchStart {
  /** Null: the user's initial preset, else an empty form. */
  draft: LaunchDraft | null;
  /** Fields that are set in it, such as the profile. */
  fields?: Partial<LaunchDraft>;
}

const NO_PROFILES: readonly Profile[] = [];

interface LaunchDialogProps {
  workers: readonly WorkerStatus[];
  start: LaunchStart;
  onClose: () => void;
}

/** The form's values, the preset they came from, and a remark on what of the preset could not be applied. */
interface Filled {
  draft: LaunchDraft;
  preset: string | null;
  remark: string | null;
}

function withFields(filled: Filled, fields: Partial<LaunchDraft> = {}): Filled {
  return { ...filled, draft: { ...filled.draft, ...fields } };
}

/** The profile that a form names: that of its worker, if several have one with this name. */
function profileOf({ profile, worker }: LaunchDraft, profiles: readonly Profile[]): Profile | null {
  const named = profiles.filter(({ name }) => name === profile.trim());
  return named.find((one) => one.worker === worker) ?? named[0] ?? null;
}

/** Whether a preset's proxy may need the password, which presets don't keep. */
function needsPassword({ kind, username, password }: ProxyDraft): boolean {
  return kind === 'own' && username !== '' && password === '';
}

/**
 * The form that launches a session. It closes when the session exists, and shows the API's error if the
 * request fails; the progress of the launch is shown by its card.
 */
export function LaunchDialog({ workers, start, onClose }: LaunchDialogProps): ReactNode {
  const { t } = useTranslation(['launch', 'network']);
  const common = useTranslation('panel').t;
  const { launches } = useLiveFleet();
  const { token } = useStore(access);

  const apply = (name: string | null): Filled => {
    const preset = presetNamed(name);
    if (!preset) return { draft: EMPTY_DRAFT, preset: null, remark: null };
    const { worker } = preset.draft;
    const gone = worker !== '' && !workers.some((one) => one.name === worker);
    const remarks = [
      ...(gone ? [t('presets.workerGone', { worker })] : []),
      ...(needsPassword(preset.draft.proxy) ? [t('presets.noPassword')] : []),
    ];
    return {
      draft: gone ? { ...preset.draft, worker: '' } : preset.draft,
      preset: preset.name,
      remark: remarks.length > 0 ? remarks.join(' ') : null,
    };
  };

  const [{ draft, preset, remark }, setFilled] = useState<Filled>(() =>
    withFields(
      start.draft
        ? { draft: start.draft, preset: null, remark: null }
        : apply(launchPresets.get().initial),
      start.fields,
    ),
  );
  const { data: profiles = NO_PROFILES } = useProfiles();
  const profile = profileOf(draft, profiles);
  // What is typed is kept for a session without this profile.
  const sent =
    profile === null
      ? draft
      : { ...draft, identity: ofSession(draft.identity), machine: ANY_MACHINE };
  const [attempts, setAttempts] = useState(0);
  const [requestId, setRequestId] = useState<string | null>(null);
  const form = useRef<HTMLFormElement>(null);
  const launch = useLaunches().find((one) => one.requestId === requestId);

  const asking = launch?.phase === 'asking';
  const accepted =
    launch !== undefined && !asking && (launch.phase !== 'failed' || launch.session !== null);
  const refusal = launch && !accepted ? launch.error : null;
  const ownIdentity = profile === null;
  const withMachine = candidates(workers, draft).some(drawsMachines);
  const refusedField = useMemo(
    () => fieldProblem(refusal, ownIdentity, withMachine),
    [refusal, ownIdentity, withMachine],
  );
  const problems = findProblems(sent, workers);
  // No errors while the user first fills in the form; after the first attempt they are kept up to date.
  const shown = {
    ...(attempts > 0 ? problems : findChoiceProblems(sent, workers)),
    ...refusedField,
  };

  const request = toRequest(sent);
  const command = curlCommand(apiUrl('sessions').href, request, token !== null);
  const copied = hasPassword(request) ? t('network:curl.whatSecret') : t('network:curl.what');

  const forgetRefusal = () => {
    if (requestId !== null && refusal) launches.dismiss(requestId);
  };
  const fill = (filled: Filled) => {
    forgetRefusal();
    setFilled(filled);
  };
  const close = () => {
    forgetRefusal();
    onClose();
  };
  const submit = () => {
    setAttempts(attempts + 1);
    if (!isValid(problems) || asking) return;
    forgetRefusal();
    setRequestId(launches.start(sent));
  };

  useEffect(() => {
    form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [attempts, refusedField]);
  useEffect(() => {
    if (accepted) onClose();
  }, [accepted, onClose]);

  return (
    <Dialog title={t('title')} onClose={close}>
      <LaunchPresetBar
        draft={draft}
        applied={preset}
        onApply={(name) => {
          fill(apply(name));
        }}
        onNamed={(name) => {
          setFilled({ draft, preset: name, remark: null });
        }}
      />
      {remark && (
        <p className="remark" role="status">
          {remark}
        </p>
      )}
      <form
        ref={form}
        noValidate
        className="launch-form"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        {workers.length > 0 && !workers.some(({ healthy }) => healthy) && (
          <p className="remark">{t('noHealthyWorker')}</p>
        )}
        <LaunchFields
          draft={draft}
          workers={workers}
          profiles={profiles}
          profile={profile}
          problems={shown}
          onChange={(part) => {
            fill({ draft: { ...draft, ...part }, preset, remark });
          }}
        />
        <div className="dialog-actions">
          {refusal && !refusedField && (
            <p className="problem" role="alert">
              {errorText(refusal)}
            </p>
          )}
          <button
            type="button"
            className="button copy-curl"
            onClick={() => void copyToClipboard(command, copied)}
          >
            <Icon name="copy" />
            {t('network:curl.copy')}
          </button>
          <button type="button" className="button" onClick={close}>
            {asking ? common('close') : t('cancel')}
          </button>
          <button type="submit" className="button primary" disabled={asking}>
            {asking ? t('launching') : t('launch')}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
