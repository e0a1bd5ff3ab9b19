import { type ReactNode, useDeferredValue, useId, useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import type { Profile } from '../api/types.ts';
import type { LaunchDraft } from '../live/launchDraft.ts';
import { PROFILE_NAME_MAX_LENGTH } from '../live/profileName.ts';
import { identityLine } from '../sessions/identityText.ts';
import { ChoiceField, Field } from '../ui/Field.tsx';

/** How many profiles are offered at a time; typing more of a name offers others. */
const MOST_OFFERED = 50;

type Fields = Pick<LaunchDraft, 'profile' | 'profileMode'>;

interface ProfileFieldsProps {
  draft: Fields;
  profiles: readonly Profile[];
  /** The chosen one, if it exists. */
  chosen: Profile | null;
  problem?: string | undefined;
  onChange: (part: Partial<Fields>) => void;
}

/** The profiles whose name, labels or identity have the typed text; those whose names begin with it first. */
function matching(profiles: readonly Profile[], typed: string): Profile[] {
  const wanted = typed.trim().toLowerCase();
  const [first, others]: [Profile[], Profile[]] = [[], []];
  for (const profile of profiles) {
    const name = profile.name.toLowerCase();
    if (name.startsWith(wanted)) first.push(profile);
    else if (others.length < MOST_OFFERED) {
      const labels = Object.entries(profile.labels).map(([key, value]) => `${key}=${value}`);
      const text = [name, ...labels, identityLine(profile.identity)].join(' ').toLowerCase();
      if (text.includes(wanted)) others.push(profile);
    }
    if (first.length === MOST_OFFERED) break;
  }
  return [...first, ...others].slice(0, MOST_OFFERED);
}

/** Chooses the profile of a new session, or names a new one. */
export function ProfileFields(props: ProfileFieldsProps): ReactNode {
  const { draft, profiles, chosen, problem, onChange } = props;
  const { t } = useTranslation('launch');
  const list = useId();
  const typed = useDeferredValue(draft.profile);
  const offered = useMemo(() => matching(profiles, typed), [profiles, typed]);
  const named = draft.profile.trim() !== '';

  const hint = () => {
    if (!named) return t('profile.hint');
    if (chosen === null) {
      return draft.profileMode === 'copy' ? t('profile.nothingToCopy') : t('profile.isNew');
    }
    if (chosen.used_by !== null) return t('profile.inUse');
    if (chosen.stale === true) return t('profile.away', { worker: chosen.worker ?? '' });
    return identityLine(chosen.identity) || t('profile.exists');
  };
  return (
    <div className="columns">
      <Field label={t('profile.name')} hint={hint()} problem={problem}>
        {(attributes) => (
          <>
            <input
              {...attributes}
              list={list}
              autoCapitalize="none"
              autoComplete="off"
              spellCheck={false}
              maxLength={PROFILE_NAME_MAX_LENGTH}
              placeholder={t('profile.none')}
              value={draft.profile}
              onChange={(event) => {
                onChange({ profile: event.target.value });
              }}
            />
            <datalist id={list}>
              {offered.map(({ name, worker, identity }) => (
                <option key={`${worker ?? ''}/${name}`} value={name}>
                  {identityLine(identity)}
                </option>
              ))}
            </datalist>
          </>
        )}
      </Field>
      {named && (
        <ChoiceField
          label={t('profile.mode')}
          value={draft.profileMode}
          hint={draft.profileMode === 'copy' ? t('profile.copyHint') : t('profile.writeHint')}
          choices={[
            ['', t('builtIn', { value: t('profile.modes.write') })],
            ['write', t('profile.modes.write')],
            ['copy', t('profile.modes.copy')],
          ]}
          onChange={(profileMode) => {
            onChange({ profileMode });
          }}
        />
      )}
    </div>
  );
}
