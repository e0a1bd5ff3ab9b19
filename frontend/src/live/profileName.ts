/** The longest name of a profile, in characters. */
export const PROFILE_NAME_MAX_LENGTH = 64;

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** Whether a profile can have this name. */
export function isProfileName(name: string): boolean {
  return name.length <= PROFILE_NAME_MAX_LENGTH && NAME.test(name);
}
