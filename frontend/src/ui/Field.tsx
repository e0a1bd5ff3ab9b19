import { type ReactNode, useId } from 'react';

interface FieldProps {
  label: string;
  hint?: string;
  problem?: string | undefined;
  /** Renders the control with the attributes that link it to its label and note. */
  children: (attributes: {
    id: string;
    'aria-describedby': string | undefined;
    'aria-invalid': boolean;
  }) => ReactNode;
}

/** A form field: label, control, and a hint that is replaced by the problem. */
export function Field({ label, hint, problem, children }: FieldProps): ReactNode {
  const id = useId();
  const note = problem ?? hint;
  const noteId = note === undefined ? undefined : `${id}-note`;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, 'aria-describedby': noteId, 'aria-invalid': problem !== undefined })}
      {note !== undefined && (
        <p id={noteId} className={problem === undefined ? 'hint' : 'problem'}>
          {note}
        </p>
      )}
    </div>
  );
}

interface ChoiceFieldProps<T extends string> {
  label: string;
  value: T;
  choices: [value: T, text: string][];
  onChange: (value: T) => void;
  hint?: string;
  problem?: string | undefined;
  disabled?: boolean;
}

/** A form field with a select. */
export function ChoiceField<T extends string>(props: ChoiceFieldProps<T>): ReactNode {
  const { label, value, choices, onChange, hint, problem, disabled = false } = props;
  return (
    <Field label={label} problem={problem} {...(hint === undefined ? {} : { hint })}>
      {(attributes) => (
        <select
          {...attributes}
          value={value}
          disabled={disabled}
          onChange={(event) => {
            const chosen = choices.find(([known]) => known === event.target.value);
            if (chosen) onChange(chosen[0]);
          }}
        >
          {choices.map(([known, text]) => (
            <option key={known} value={known}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
