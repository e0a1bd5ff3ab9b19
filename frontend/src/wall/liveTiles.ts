import { useCallback, useMemo, useState } from 'react';

/**
 * The maximum number of live tiles. Each has its own connection that transfers every change of its screen,
 * all decoded by the page's one thread; screenshots once a second cost little.
 */
export const MAX_LIVE_TILES = 4;

/** A tile with a live view. */
export interface LiveTile {
  key: string;
  /** Whether it stays live without the pointer on it. */
  kept: boolean;
}

/** The live tiles, the oldest first. */
export type LiveTiles = readonly LiveTile[];

/** Makes a tile live; beyond the maximum the oldest returns to a screenshot. */
function activate(live: LiveTiles, tile: LiveTile): LiveTiles {
  return [...live.filter(({ key }) => key !== tile.key), tile].slice(-MAX_LIVE_TILES);
}

/** The pointer entered a tile: it is live until the pointer leaves. */
export function hover(live: LiveTiles, key: string): LiveTiles {
  return live.some((tile) => tile.key === key) ? live : activate(live, { key, kept: false });
}

/** The pointer left a tile. */
export function leave(live: LiveTiles, key: string): LiveTiles {
  return live.filter((tile) => tile.key !== key || tile.kept);
}

/** A tile was clicked: it stays live, or returns to a screenshot. */
export function press(live: LiveTiles, key: string): LiveTiles {
  const kept = live.some((tile) => tile.key === key && tile.kept);
  return kept ? live.filter((tile) => tile.key !== key) : activate(live, { key, kept: true });
}

/** Events of tiles, by tile key. */
export interface LiveRequests {
  onHover: (key: string) => void;
  onLeave: (key: string) => void;
  onPress: (key: string) => void;
  /** The tile returns to a screenshot, whatever made it live. */
  onStop: (key: string) => void;
}

/** The live tiles of a page. */
export function useLiveTiles(): { live: LiveTiles; requests: LiveRequests; stopAll: () => void } {
  const [live, setLive] = useState<LiveTiles>([]);
  // A stable object, so that unchanged tiles don't re-render.
  const requests = useMemo<LiveRequests>(
    () => ({
      onHover: (key) => {
        setLive((before) => hover(before, key));
      },
      onLeave: (key) => {
        setLive((before) => leave(before, key));
      },
      onPress: (key) => {
        setLive((before) => press(before, key));
      },
      onStop: (key) => {
        setLive((before) => before.filter((tile) => tile.key !== key));
      },
    }),
    [],
  );
  const stopAll = useCallback(() => {
    setLive([]);
  }, []);
  return { live, requests, stopAll };
}
