/** A duration that a person set, in its largest whole unit: `5 min`, `90 sec`. */
export function spanText(seconds: number, language: string): string {
  const unit = seconds % 3600 === 0 ? 'hour' : seconds % 60 === 0 ? 'minute' : 'second';
  const size = { hour: 3600, minute: 60, second: 1 }[unit];
  return unitText(seconds / size, unit, language, 0);
}

/** How long something took, in seconds: to the millisecond below ten seconds, to the tenth above. */
export function tookText(ms: number, language: string): string {
  return unitText(ms / 1000, 'second', language, ms < 10_000 ? 3 : 1);
}

/** How long something is taking so far, in seconds, to the tenth. */
export function elapsedText(ms: number, language: string): string {
  return unitText(ms / 1000, 'second', language, 1);
}

function unitText(value: number, unit: string, language: string, digits: number): string {
  return new Intl.NumberFormat(language, {
    style: 'unit',
    unit,
    unitDisplay: 'short',
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(value);
}
