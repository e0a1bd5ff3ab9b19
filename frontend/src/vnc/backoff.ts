const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 10_000;

/** How long to wait before the next attempt after `failures` failed ones: 1, 2, 4, 8, 10, 10 … s. */
export function reconnectDelay(failures: number): number {
  return Math.min(FIRST_DELAY_MS * 2 ** Math.max(0, failures - 1), LONGEST_DELAY_MS);
}
