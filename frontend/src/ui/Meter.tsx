import { Meter as Base } from '@base-ui/react/meter';
import type { ReactNode } from 'react';

interface MeterProps {
  label: string;
  value: number;
  /** The maximum. */
  max: number;
  /** The value as text, `3 of 10`. */
  text: string;
  /** An additional remark, such as the parts of the value. */
  detail?: string;
}

/** A value against its maximum, as a number and a bar. */
export function Meter({ label, value, max, text, detail }: MeterProps): ReactNode {
  return (
    <Base.Root
      className="meter"
      value={Math.min(value, max)}
      // The element needs a range that is not empty.
      max={Math.max(max, 1)}
      getAriaValueText={() => text}
    >
      <Base.Label className="meter-label">{label}</Base.Label>
      <span className="meter-value" aria-hidden="true">
        {text}
      </span>
      <Base.Track className="meter-track">
        <Base.Indicator className="meter-bar" />
      </Base.Track>
      {detail !== undefined && <span className="meter-detail">{detail}</span>}
    </Base.Root>
  );
}
