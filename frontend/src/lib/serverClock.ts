/** Smaller differences are rounding of the Date header and network latency. */
const TOLERANCE_MS = 2000;

let offsetMs = 0;

/**
 * Estimates the offset of the server's clock from the Date header of an answer. Countdowns compare the
 * server's times with "now", and a laptop's clock can be minutes off.
 */
export function noteServerDate(header: string | null): void {
  const serverNow = header === null ? Number.NaN : Date.parse(header);
  if (Number.isNaN(serverNow)) return;
  const difference = serverNow - Date.now();
  offsetMs = Math.abs(difference) > TOLERANCE_MS ? difference : 0;
}

/** Converts a time of this machine's clock (ms since the epoch) to the server's clock. */
export function toServerTime(localMs: number): number {
  return localMs + offsetMs;
}
