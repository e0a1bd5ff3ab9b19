import {
  useMutation,
  type UseMutationResult,
  useQuery,
  useQueryClient,
  type UseQueryResult,
} from '@tanstack/react-query';

import {
  changeProfile,
  cloneProfile,
  createProfile,
  deleteProfile,
  listProfiles,
  type ProfilePlace,
  readCookies,
  writeCookies,
} from '../api/profiles.ts';
import type { CloneRequest, Cookie, Profile, ProfilePatch, ProfileRequest } from '../api/types.ts';
import { queryKeys } from './queries.ts';

/** The shortest interval between two reads of the list, in ms. */
const INTERVAL_MS = 5000;
/** What each profile adds to it, in ms: a list of thousands has megabytes. */
const PER_PROFILE_MS = 5;

/** The profiles by name; read again and again while the page is visible, because their changes are no events. */
export function useProfiles(): UseQueryResult<Profile[]> {
  return useQuery({
    queryKey: queryKeys.profiles,
    queryFn: ({ signal }) => listProfiles(signal),
    refetchInterval: ({ state }) =>
      Math.max(INTERVAL_MS, (state.data?.length ?? 0) * PER_PROFILE_MS),
  });
}

/** Reads the list of profiles again. */
export function useRefreshProfiles(): () => Promise<void> {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: queryKeys.profiles });
}

/** A change of the profiles; the list is read again when it is over, whether it succeeded or not. */
function useProfileMutation<Answer, Change>(
  mutationFn: (change: Change) => Promise<Answer>,
): UseMutationResult<Answer, Error, Change> {
  const onSettled = useRefreshProfiles();
  return useMutation({ mutationFn, onSettled });
}

/** Makes a profile. */
export function useCreateProfile(): UseMutationResult<Profile, Error, ProfileRequest> {
  return useProfileMutation(createProfile);
}

/** Changes labels, notes or proxy of a profile. */
export function useChangeProfile(
  profile: Profile,
): UseMutationResult<Profile, Error, ProfilePatch> {
  return useProfileMutation((patch: ProfilePatch) => changeProfile(profile, patch));
}

/** Makes a profile from another one. */
export function useCloneProfile(profile: Profile): UseMutationResult<Profile, Error, CloneRequest> {
  return useProfileMutation((request: CloneRequest) => cloneProfile(profile, request));
}

/** Deletes a profile. */
export function useDeleteProfile(): UseMutationResult<null, Error, ProfilePlace> {
  return useProfileMutation(deleteProfile);
}

/** The cookies of a profile; read once, because that may start its browser. */
export function useCookies(profile: Profile): UseQueryResult<Cookie[]> {
  return useQuery({
    queryKey: queryKeys.cookies(profile),
    queryFn: ({ signal }) => readCookies(profile, signal),
    retry: false,
    // They are secrets, and change while a session runs.
    gcTime: 0,
  });
}

/** Replaces the cookies of a profile. */
export function useReplaceCookies(profile: Profile): UseMutationResult<null, Error, string> {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (cookies: string) => writeCookies(profile, cookies),
    onSuccess: () => client.invalidateQueries({ queryKey: queryKeys.cookies(profile) }),
  });
}
