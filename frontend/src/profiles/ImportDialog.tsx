import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Profile, WorkerStatus } from '../api/types.ts';
import { useRefreshProfiles } from '../hooks/profiles.ts';
import { profileNameProblem } from '../launch/validation.ts';
import { PROFILE_NAME_MAX_LENGTH } from '../live/profileName.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { ChoiceField, Field } from '../ui/Field.tsx';
import { bytesText } from '../ui/format.ts';
import { nameOfFile, transfers } from './transfers.ts';

interface ImportDialogProps {
  /** The archives: at least one. */
  files: readonly File[];
  profiles: readonly Profile[];
  /** The workers that keep profiles. */
  workers: readonly WorkerStatus[];
  onClose: () => void;
}

/** Names that are free, for files that may have names of profiles. */
function freeNames(files: readonly File[], profiles: readonly Profile[]): string[] {
  const taken = new Set(profiles.map(({ name }) => name));
  return files.map((file) => {
    const wanted = nameOfFile(file.name);
    let name = wanted;
    for (let number = 2; taken.has(name); number += 1) {
      const suffix = `-${number}`;
      name = wanted.slice(0, PROFILE_NAME_MAX_LENGTH - suffix.length) + suffix;
    }
    taken.add(name);
    return name;
  });
}

/** Names the profiles that archives become, and starts their imports. */
export function ImportDialog({ files, profiles, workers, onClose }: ImportDialogProps): ReactNode {
  const { t } = useTranslation(['profiles', 'panel']);
  const [names, setNames] = useState(() => freeNames(files, profiles));
  const [worker, setWorker] = useState('');
  const [attempts, setAttempts] = useState(0);
  const refresh = useRefreshProfiles();
  const room = transfers.room();

  const problemOf = (name: string, index: number) => {
    const problem = profileNameProblem(name);
    if (problem !== undefined) return problem;
    const same = names.findIndex((other) => other.trim() === name.trim()) < index;
    const taken = profiles.some((profile) => profile.name === name.trim());
    return same || taken ? t('importing.taken', { name: name.trim() }) : undefined;
  };
  const problems = names.map(problemOf);
  const tooMany = files.length > room;
  return (
    <Dialog title={t('importing.title', { count: files.length })} onClose={onClose}>
      <form
        noValidate
        className="launch-form"
        onSubmit={(event) => {
          event.preventDefault();
          setAttempts(attempts + 1);
          if (tooMany || problems.some((problem) => problem !== undefined)) return;
          for (const [index, file] of files.entries()) {
            const target = { name: names[index]?.trim() ?? '', worker: worker || null };
            transfers.import(file, target, () => void refresh());
          }
          onClose();
        }}
      >
        <p className="remark">{t('importing.trust')}</p>
        {files.map((file, index) => (
          <Field
            key={index}
            label={t('importing.name', { file: file.name })}
            hint={bytesText(file.size)}
            problem={attempts > 0 ? problems[index] : undefined}
          >
            {(attributes) => (
              <input
                {...attributes}
                autoCapitalize="none"
                autoComplete="off"
                spellCheck={false}
                maxLength={PROFILE_NAME_MAX_LENGTH}
                value={names[index] ?? ''}
                onChange={(event) => {
                  setNames(names.with(index, event.target.value));
                }}
              />
            )}
          </Field>
        ))}
        {workers.length > 1 && (
          <ChoiceField
            label={t('form.worker')}
            value={worker}
            choices={[
              ['', t('form.anyWorker')],
              ...workers.map(({ name }): [string, string] => [name, name]),
            ]}
            onChange={setWorker}
          />
        )}
        {tooMany && (
          <p className="problem" role="alert">
            {t('importing.tooMany', { count: room })}
          </p>
        )}
        <div className="dialog-actions">
          <button type="button" className="button" onClick={onClose}>
            {t('panel:cancel')}
          </button>
          <button type="submit" className="button primary">
            {t('importing.confirm')}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
