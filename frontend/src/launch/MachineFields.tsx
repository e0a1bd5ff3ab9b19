import { type ReactNode, useId } from 'react';
import { useTranslation } from 'react-i18next';

import { MACHINE_MAX_LENGTH, MACHINE_TEXTS, type MachineDraft } from '../live/machineDraft.ts';
import type { WorkerStatus } from '../api/types.ts';
import { ChoiceField, Field } from '../ui/Field.tsx';
import { canShow } from './IdentityFields.tsx';

const EXAMPLES: Readonly<Record<(typeof MACHINE_TEXTS)[number], string>> = {
  os: 'windows, macos',
  fonts: 'Fira Code, Inter',
  addons: 'ublock',
  seed: 'anna',
  gpuVendor: 'Intel',
  gpuRenderer: 'Intel(R) HD Graphics, or similar',
};

interface MachineFieldsProps {
  draft: MachineDraft;
  problems: Partial<Record<keyof MachineDraft, string>>;
  onChange: (draft: MachineDraft) => void;
}

/** Whether the sessions of a worker show machines that are drawn. */
export function drawsMachines(worker: WorkerStatus): boolean {
  return canShow(worker, 'os');
}

/** What is asked of the machine that the session's Camoufox shows. */
export function MachineFields({ draft, problems, onChange }: MachineFieldsProps): ReactNode {
  const { t } = useTranslation('launch');
  const note = useId();
  return (
    <fieldset className="label-fields" aria-describedby={note}>
      <legend>{t('machine.title')}</legend>
      <p className="hint" id={note}>
        {t('machine.hint')}
      </p>
      <div className="columns">
        {MACHINE_TEXTS.map((field) => (
          <Field key={field} label={t(`machine.${field}`)} problem={problems[field]}>
            {(attributes) => (
              <input
                {...attributes}
                autoCapitalize="none"
                spellCheck={false}
                maxLength={MACHINE_MAX_LENGTH}
                placeholder={EXAMPLES[field]}
                value={draft[field]}
                onChange={(event) => {
                  onChange({ ...draft, [field]: event.target.value });
                }}
              />
            )}
          </Field>
        ))}
        <ChoiceField
          label={t('machine.humanize')}
          value={draft.humanize}
          problem={problems.humanize}
          choices={[
            ['', t('default')],
            ['true', t('machine.hand')],
            ['false', t('machine.jump')],
          ]}
          onChange={(humanize) => {
            onChange({ ...draft, humanize });
          }}
        />
        <ChoiceField
          label={t('machine.mainWorld')}
          value={draft.mainWorld}
          problem={problems.mainWorld}
          choices={[
            ['', t('builtIn', { value: t('no') })],
            ['true', t('yes')],
          ]}
          onChange={(mainWorld) => {
            onChange({ ...draft, mainWorld });
          }}
        />
      </div>
    </fieldset>
  );
}
