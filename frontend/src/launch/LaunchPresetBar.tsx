import { Menu } from '@base-ui/react/menu';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { type LaunchDraft, withoutSecrets } from '../live/launchDraft.ts';
import {
  isStorable,
  deletePreset,
  launchPresets,
  PRESET_LIMITS,
  renamePreset,
  savePreset,
  setInitialPreset,
} from './presets.ts';
import { notifyInfo } from '../ui/notices.ts';
import { useStore } from '../lib/useStore.ts';
import { Field } from '../ui/Field.tsx';
import { Icon } from '../ui/icons.tsx';
import { MenuPopup } from '../ui/Menu.tsx';

interface LaunchPresetBarProps {
  /** The current values of the form. */
  draft: LaunchDraft;
  /** The name of the preset that they came from. */
  applied: string | null;
  /** Called with the preset to apply; null empties the form. */
  onApply: (name: string | null) => void;
  /** Called when the current form has been saved under a name, or its preset was deleted. */
  onNamed: (name: string | null) => void;
}

/** The saved forms: apply, save, rename, delete. */
export function LaunchPresetBar(props: LaunchPresetBarProps): ReactNode {
  const { draft, applied, onApply, onNamed } = props;
  const { t } = useTranslation('launch');
  const { presets, initial } = useStore(launchPresets);
  const [naming, setNaming] = useState<'new' | 'rename' | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const trigger = useRef<HTMLButtonElement>(null);

  const stopNaming = () => {
    setNaming(null);
    trigger.current?.focus();
  };
  const saveProblem = (isNew: boolean): string | null => {
    const { count, labels } = PRESET_LIMITS;
    if (!isStorable(withoutSecrets(draft))) return t('presets.problems.large', { max: labels });
    if (isNew && presets.length >= count) return t('presets.problems.full', { max: count });
    return null;
  };
  const save = (name: string) => {
    savePreset(name, draft);
    onNamed(name);
    notifyInfo(t('presets.saved', { name }));
  };

  return (
    <div className="preset-bar">
      <div className="preset-choice">
        <span id="launch-preset">{t('presets.label')}</span>
        <Menu.Root modal={false}>
          <Menu.Trigger
            ref={trigger}
            className="button small"
            aria-labelledby="launch-preset launch-preset-name"
          >
            <span id="launch-preset-name">{applied ?? t('presets.none')}</span>
            <Icon name="chevron" />
          </Menu.Trigger>
          <MenuPopup label={t('presets.label')}>
            <Menu.RadioGroup
              value={applied ?? ''}
              onValueChange={(name: string) => {
                setProblem(null);
                onApply(name === '' ? null : name);
              }}
            >
              <Choice name="" text={t('presets.empty')} />
              {presets.map(({ name }) => (
                <Choice
                  key={name}
                  name={name}
                  text={name === initial ? t('presets.initialMark', { name }) : name}
                />
              ))}
            </Menu.RadioGroup>
            <Menu.Separator className="menu-separator" />
            <Menu.Item
              onClick={() => {
                const found = saveProblem(true);
                setProblem(found);
                setNaming(found === null ? 'new' : null);
              }}
            >
              {t('presets.saveAs')}
            </Menu.Item>
            {applied !== null && (
              <>
                <Menu.Item
                  onClick={() => {
                    const found = saveProblem(false);
                    setProblem(found);
                    if (found === null) save(applied);
                  }}
                >
                  {t('presets.update', { name: applied })}
                </Menu.Item>
                <Menu.Item
                  onClick={() => {
                    setNaming('rename');
                  }}
                >
                  {t('presets.rename')}
                </Menu.Item>
                <Menu.Item
                  onClick={() => {
                    setInitialPreset(initial === applied ? null : applied);
                  }}
                >
                  {initial === applied ? t('presets.notInitial') : t('presets.makeInitial')}
                </Menu.Item>
                <Menu.Item
                  onClick={() => {
                    deletePreset(applied);
                    onNamed(null);
                    notifyInfo(t('presets.deleted', { name: applied }));
                  }}
                >
                  {t('presets.delete', { name: applied })}
                </Menu.Item>
              </>
            )}
          </MenuPopup>
        </Menu.Root>
      </div>
      {problem !== null && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      {naming !== null && (
        <NameForm
          key={naming}
          label={naming === 'new' ? t('presets.name') : t('presets.newName')}
          before={naming === 'rename' ? applied : null}
          taken={presets.map(({ name }) => name)}
          onCancel={stopNaming}
          onName={(name) => {
            if (naming === 'rename' && applied !== null) {
              renamePreset(applied, name);
              onNamed(name);
            } else save(name);
            stopNaming();
          }}
        />
      )}
    </div>
  );
}

function Choice({ name, text }: { name: string; text: string }): ReactNode {
  return (
    <Menu.RadioItem value={name} closeOnClick>
      <span className="menu-mark">
        <Menu.RadioItemIndicator>
          <Icon name="check" />
        </Menu.RadioItemIndicator>
      </span>
      {text}
    </Menu.RadioItem>
  );
}

interface NameFormProps {
  label: string;
  /** The current name, when renaming. */
  before: string | null;
  taken: readonly string[];
  onName: (name: string) => void;
  onCancel: () => void;
}

/** Asks for the name of a preset. */
function NameForm({ label, before, taken, onName, onCancel }: NameFormProps): ReactNode {
  const { t } = useTranslation('launch');
  const [name, setName] = useState(before ?? '');
  const [tried, setTried] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    // The closing menu returns the focus to its button, so the input is focused after that.
    const timer = requestAnimationFrame(() => input.current?.focus());
    return () => {
      cancelAnimationFrame(timer);
    };
  }, []);
  const wanted = name.trim();
  const problem = () => {
    if (wanted === '') return t('presets.problems.noName');
    if (wanted.length > PRESET_LIMITS.name) {
      return t('presets.problems.longName', { max: PRESET_LIMITS.name });
    }
    if (wanted !== before && taken.includes(wanted)) {
      return t('presets.problems.taken', { name: wanted });
    }
    return undefined;
  };
  return (
    <form
      noValidate
      className="preset-name"
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (problem() === undefined) onName(wanted);
      }}
    >
      <Field label={label} problem={tried ? problem() : undefined}>
        {(attributes) => (
          <input
            {...attributes}
            ref={input}
            value={name}
            onChange={(event) => {
              setName(event.target.value);
            }}
          />
        )}
      </Field>
      <button type="submit" className="button small">
        {t('presets.save')}
      </button>
      <button type="button" className="button small" onClick={onCancel}>
        {t('presets.cancel')}
      </button>
    </form>
  );
}
