import { type RefObject, useEffect, useState } from 'react';

import type { SessionPlace } from '../api/client.ts';
import { useElementWidth } from '../ui/useElementWidth.ts';
import { useInView } from '../ui/useInView.ts';
import { useStore } from '../lib/useStore.ts';
import { ScreenshotPoller, screenshotWidth, type PolledScreenshot } from './screenshotPoller.ts';

/**
 * A screenshot of a session in the width of an element: renewed while it is `wanted` and the element is
 * visible, otherwise kept.
 */
export function useScreenshot(
  { worker, id }: SessionPlace,
  element: RefObject<Element | null>,
  wanted: boolean,
): PolledScreenshot {
  const [feed] = useState(() => new ScreenshotPoller({ worker, id }));
  const inView = useInView(element);
  const width = screenshotWidth(useElementWidth(element), window.devicePixelRatio);
  const looking = wanted && inView;

  useEffect(() => {
    if (!looking) return;
    feed.start(width);
    return () => {
      feed.stop();
    };
  }, [feed, looking, width]);

  useEffect(
    () => () => {
      feed.close();
    },
    [feed],
  );

  return useStore(feed.picture);
}
