import { type ReactNode, useEffect, useRef, useState } from 'react';

import { errorText } from '../api/client.ts';
import { EMPTY_DRAFT, findProblems, isSound, type LaunchDraft, toRequest } from '../api/launch.ts';
import type { Session, WorkerStatus } from '../api/types.ts';
import { useLaunch } from '../hooks/mutations.ts';
import { Dialog } from './Dialog.tsx';
import { ChoiceField, Field } from './Field.tsx';
import { LabelFields } from './LabelFields.tsx';

interface LaunchDialogProps {
  workers: readonly WorkerStatus[];
  onLaunched: (session: Session) => void;
  onClose: () => void;
}

function workerChoices(workers: readonly WorkerStatus[]): [string, string][] {
  const named = workers.map(({ name, healthy, supports_vnc: vnc }): [string, string] => {
    const remarks = [...(healthy ? [] : ['unhealthy']), ...(vnc ? [] : ['no live view'])];
    return [name, remarks.length > 0 ? `${name} (${remarks.join(', ')})` : name];
  });
  return [['', 'Any that can'], ...named];
}

/** The form that launches a session, with everything the API takes. */
export function LaunchDialog({ workers, onLaunched, onClose }: LaunchDialogProps): ReactNode {
  const [draft, setDraft] = useState<LaunchDraft>(EMPTY_DRAFT);
  const [attempts, setAttempts] = useState(0);
  const form = useRef<HTMLFormElement>(null);
  const launch = useLaunch();

  const problems = findProblems(draft);
  const sound = isSound(problems);
  // Nobody wants to be told off while typing; after the first try the messages keep up.
  const shown = attempts > 0 ? problems : findProblems(EMPTY_DRAFT);
  const change = (part: Partial<LaunchDraft>) => {
    setDraft((known) => ({ ...known, ...part }));
  };

  const submit = () => {
    setAttempts(attempts + 1);
    if (sound && !launch.isPending) launch.mutate(toRequest(draft), { onSuccess: onLaunched });
  };

  useEffect(() => {
    form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [attempts]);

  return (
    <Dialog title="Launch a session" onClose={onClose}>
      <form
        ref={form}
        noValidate
        className="launch-form"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <label className="check">
          <input
            type="checkbox"
            checked={draft.vnc}
            onChange={(event) => {
              change({ vnc: event.target.checked });
            }}
          />
          <span>
            Live view
            <span className="hint">Watch and control the browser’s screen from here.</span>
          </span>
        </label>
        <div className="columns">
          <ChoiceField
            label="Worker"
            value={draft.worker}
            choices={workerChoices(workers)}
            onChange={(worker) => {
              change({ worker });
            }}
          />
          <ChoiceField
            label="Headless"
            value={draft.vnc ? 'false' : draft.headless}
            disabled={draft.vnc}
            choices={[
              ['', 'Worker’s default'],
              ['true', 'Yes'],
              ['false', 'No'],
            ]}
            onChange={(headless) => {
              change({ headless });
            }}
          />
          <Field
            label="Idle TTL, seconds"
            hint="30 to 3600; empty for the worker’s default."
            problem={shown.idleTtlSeconds}
          >
            {(attributes) => (
              <input
                {...attributes}
                inputMode="numeric"
                value={draft.idleTtlSeconds}
                onChange={(event) => {
                  change({ idleTtlSeconds: event.target.value });
                }}
              />
            )}
          </Field>
          <ChoiceField
            label="When the browser crashes"
            value={draft.onCrash}
            choices={[
              ['', 'Worker’s default'],
              ['restart', 'Restart it'],
              ['end', 'End the session'],
            ]}
            onChange={(onCrash) => {
              change({ onCrash });
            }}
          />
        </div>
        <Field
          label="Start URL"
          hint="Opened once the session is ready. A bare host gets https://."
          problem={shown.startUrl}
        >
          {(attributes) => (
            <input
              {...attributes}
              inputMode="url"
              autoCapitalize="none"
              spellCheck={false}
              value={draft.startUrl}
              onChange={(event) => {
                change({ startUrl: event.target.value });
              }}
            />
          )}
        </Field>
        <div className="columns">
          <ChoiceField
            label="Start URL counts as open"
            value={draft.startUrlWait}
            choices={[
              ['', 'Worker’s default'],
              ['load', 'When all is loaded'],
              ['domcontentloaded', 'When the document is there'],
              ['none', 'Don’t open it'],
            ]}
            onChange={(startUrlWait) => {
              change({ startUrlWait });
            }}
          />
          <ChoiceField
            label="Contexts of a client that left"
            value={draft.contexts}
            choices={[
              ['', 'Worker’s default'],
              ['keep', 'Keep'],
              ['discard', 'Discard'],
            ]}
            onChange={(contexts) => {
              change({ contexts });
            }}
          />
        </div>
        <LabelFields
          rows={draft.labels}
          problems={shown.labels}
          onChange={(labels) => {
            change({ labels });
          }}
        />
        {launch.error && (
          <p className="problem" role="alert">
            {errorText(launch.error)}
          </p>
        )}
        <div className="dialog-actions">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button primary" disabled={launch.isPending}>
            {launch.isPending ? 'Launching…' : 'Launch'}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
