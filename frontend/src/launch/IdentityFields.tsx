import { type ReactNode, useId } from 'react';
import { useTranslation } from 'react-i18next';

import type { WorkerStatus } from '../api/types.ts';
import {
  IDENTITY_MAX_LENGTH,
  type IdentityDraft,
  PREFERENCES_MAX_LENGTH,
} from '../live/identityDraft.ts';
import { ChoiceField, Field } from '../ui/Field.tsx';

const FIELDS = ['locale', 'timezone', 'geolocation', 'screen'] as const;
const EXAMPLES: Readonly<Record<(typeof FIELDS)[number], string>> = {
  locale: 'de-AT, de',
  timezone: 'Europe/Vienna',
  geolocation: '48.2, 16.4',
  screen: '1366x768',
};
const PREFERENCE = 'dom.maxHardwareConcurrency = 4';

interface IdentityFieldsProps {
  draft: IdentityDraft;
  problems: Partial<Record<keyof IdentityDraft, string>>;
  onChange: (draft: IdentityDraft) => void;
  /** Whether only what is a choice of the session can be changed, because the rest is that of its profile. */
  locked?: boolean;
  /** Whether it is for a profile: without what is a choice of each session. */
  ofProfile?: boolean;
  /** Those of which one shows it. */
  workers: readonly WorkerStatus[];
}

/** Whether the sessions of a worker can be asked for a field of an identity. */
export function canShow({ detail }: WorkerStatus, field: string): boolean {
  const facts = 'facts' in detail ? detail.facts : null;
  return facts?.identity.includes(field) ?? false;
}

/** What pages learn of the session's user and machine. */
export function IdentityFields(props: IdentityFieldsProps): ReactNode {
  const { draft, problems, onChange, workers, locked = false, ofProfile = false } = props;
  const { t } = useTranslation('launch');
  const note = useId();
  const allowed = workers.some((worker) => canShow(worker, 'user_preferences'));
  const withPreferences = allowed || draft.preferences !== '';
  return (
    <fieldset className="label-fields" aria-describedby={note}>
      <legend>{t('identity.title')}</legend>
      <p className="hint" id={note}>
        {t('identity.hint')}
      </p>
      <div className="columns">
        {FIELDS.map((field) => (
          <Field key={field} label={t(`identity.${field}`)} problem={problems[field]}>
            {(attributes) => (
              <input
                {...attributes}
                disabled={locked}
                autoCapitalize="none"
                spellCheck={false}
                maxLength={IDENTITY_MAX_LENGTH}
                // In a locked field an example would look like its value.
                placeholder={locked ? undefined : EXAMPLES[field]}
                value={draft[field]}
                onChange={(event) => {
                  onChange({ ...draft, [field]: event.target.value });
                }}
              />
            )}
          </Field>
        ))}
        <ChoiceField
          label={t('identity.webrtc')}
          value={draft.webrtc}
          disabled={locked}
          choices={[
            ['', t('default')],
            ['off', t('identity.webrtcOf.off')],
            ['proxy', t('identity.webrtcOf.proxy')],
            ['on', t('identity.webrtcOf.on')],
          ]}
          onChange={(webrtc) => {
            onChange({ ...draft, webrtc });
          }}
        />
        <ChoiceField
          label={t('identity.images')}
          value={draft.images}
          disabled={locked}
          choices={[
            ['', t('builtIn', { value: t('identity.imagesOf.show') })],
            ['block', t('identity.imagesOf.block')],
          ]}
          onChange={(images) => {
            onChange({ ...draft, images });
          }}
        />
        {!ofProfile && (
          <>
            <ChoiceField
              label={t('identity.engine')}
              value={draft.engine}
              disabled={locked}
              choices={[
                ['', t('identity.anyEngine')],
                ['firefox', 'Firefox'],
                ['camoufox', 'Camoufox'],
              ]}
              onChange={(engine) => {
                onChange({ ...draft, engine });
              }}
            />
            <ChoiceField
              label={t('identity.coherence')}
              value={draft.coherence}
              choices={[
                ['', t('builtIn', { value: t('identity.coherenceOf.refuse') })],
                ['warn', t('identity.coherenceOf.warn')],
              ]}
              onChange={(coherence) => {
                onChange({ ...draft, coherence });
              }}
            />
          </>
        )}
      </div>
      {withPreferences && (
        <Field
          label={t('identity.preferences')}
          hint={t('identity.preferencesHint')}
          problem={problems.preferences}
        >
          {(attributes) => (
            <textarea
              {...attributes}
              disabled={locked}
              rows={3}
              autoCapitalize="none"
              spellCheck={false}
              maxLength={PREFERENCES_MAX_LENGTH}
              placeholder={locked ? undefined : PREFERENCE}
              value={draft.preferences}
              onChange={(event) => {
                onChange({ ...draft, preferences: event.target.value });
              }}
            />
          )}
        </Field>
      )}
    </fieldset>
  );
}
