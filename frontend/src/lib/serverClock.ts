/** Below this the difference is the second's rounding in the Date header and the way it came. */
const TOLERANCE_MS = 2000;

let offsetMs = 0;

/**
 * Learns from an answer's Date header how far the server's clock is from this machine's. Countdowns
 * compare the server's times with "now", and a laptop's clock can be minutes off.
 */
export function noteServerDate(header: string | null): void {
  const serverNow = header === null ? Number.NaN : Date.parse(header);
  if (Number.isNaN(serverNow)) return;
  const difference = serverNow - Date.now();
  offsetMs = Math.abs(difference) > TOLERANCE_MS ? difference : 0;
}

/** A moment of this machine's clock (ms since the epoch) as the server's clock has it. */
export function toServerTime(localMs: number): number {
  return localMs + offsetMs;
}
