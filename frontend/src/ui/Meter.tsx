import { Meter as Base } from '@base-ui/react/meter';
import type { ReactNode } from 'react';

interface MeterProps {
  label: string;
  value: number;
  /** What is there at most. */
  max: number;
  /** The value in words, `3 of 10`. */
  text: string;
  /** What the value is made of, or what else belongs to it. */
  detail?: string;
}

/** How much of something is used, in figures and as a bar. */
export function Meter({ label, value, max, text, detail }: MeterProps): ReactNode {
  return (
    <Base.Root
      className="meter"
      value={Math.min(value, max)}
      // An empty range would be none.
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
