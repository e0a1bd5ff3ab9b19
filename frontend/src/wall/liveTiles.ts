import { useCallback, useMemo, useState } from 'react';

/**
 * How many tiles are live at once. Each is a connection of its own, over which everything comes that moves on its screen,
 * drawn by the one thread that this page has; pictures once a second cost next to nothing.
 */
export const MAX_LIVE_TILES = 4;

/** A tile that shows its screen live. */
export interface LiveTile {
  key: string;
  /** Whether it stays live until it is put back, and not only while the pointer is on it. */
  kept: boolean;
}

/** The tiles that are live, the oldest first. */
export type LiveTiles = readonly LiveTile[];

/** Makes a tile live; the oldest goes back to a picture when there are too many. */
export function activate(live: LiveTiles, tile: LiveTile): LiveTiles {
  return [...live.filter(({ key }) => key !== tile.key), tile].slice(-MAX_LIVE_TILES);
}

/** The pointer has come to a tile: it is live for now. */
export function hover(live: LiveTiles, key: string): LiveTiles {
  return live.some((tile) => tile.key === key) ? live : activate(live, { key, kept: false });
}

/** The pointer has left a tile. */
export function leave(live: LiveTiles, key: string): LiveTiles {
  return live.filter((tile) => tile.key !== key || tile.kept);
}

/** A tile was clicked: it stays live, or is a picture again. */
export function press(live: LiveTiles, key: string): LiveTiles {
  const kept = live.some((tile) => tile.key === key && tile.kept);
  return kept ? live.filter((tile) => tile.key !== key) : activate(live, { key, kept: true });
}

/** What tiles ask for, by their keys. */
export interface LiveRequests {
  onHover: (key: string) => void;
  onLeave: (key: string) => void;
  onPress: (key: string) => void;
  /** The tile is to be a picture again, whatever made it live. */
  onStop: (key: string) => void;
}

/** Keeps which of a page's tiles are live. */
export function useLiveTiles(): { live: LiveTiles; requests: LiveRequests; stopAll: () => void } {
  const [live, setLive] = useState<LiveTiles>([]);
  // One object for good: a tile that did not change is not rendered again.
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
