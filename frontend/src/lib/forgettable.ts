/**
 * Called when the user gives another access token, which may be for another fleet. What is loaded on demand and keeps data
 * of the fleet adds to it.
 */
export const forgettable = new Set<() => void>();
