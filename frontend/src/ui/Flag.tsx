import type { ReactNode } from 'react';

import { countryText } from './format.ts';

/** Where the letters of flags begin in Unicode. */
const REGIONAL_A = 0x1f1e6;

let drawn: boolean | undefined;

/** Whether this system's fonts have flags; without them a flag is two letters or boxes. Found out once. */
function drawsFlags(): boolean {
  if (drawn !== undefined) return drawn;
  drawn = false;
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 24;
  let context: CanvasRenderingContext2D | null = null;
  try {
    context = canvas.getContext('2d', { willReadFrequently: true });
  } catch {
    // Canvases are blocked.
  }
  if (!context) return drawn;
  context.font = '20px sans-serif';
  context.fillStyle = '#000';
  context.fillText(flagOf('AT'), 0, 20);
  const { data } = context.getImageData(0, 0, 24, 24);
  for (let at = 0; at < data.length; at += 4) {
    // Letters and boxes have the colour of the text.
    if ((data[at] ?? 0) > 100 && (data[at + 3] ?? 0) > 200) drawn = true;
  }
  return drawn;
}

function flagOf(country: string): string {
  return String.fromCodePoint(
    ...Array.from(country, (letter) => REGIONAL_A + letter.charCodeAt(0) - 65),
  );
}

/** The flag of a country where the system can draw it, else its code; its name is the tooltip. */
export function Flag({ country }: { country: string }): ReactNode {
  const named = countryText(country);
  return (
    <span
      role="img"
      aria-label={named}
      title={named}
      className={drawsFlags() ? 'flag' : 'flag badge'}
    >
      {drawsFlags() ? flagOf(country) : country}
    </span>
  );
}
