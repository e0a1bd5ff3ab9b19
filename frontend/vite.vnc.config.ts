import { defineConfig } from 'vite';

import { inlineAssets } from './build/inline-assets.ts';

/** Builds the noVNC page into one file beside the panel, which the first build has just written. */
export default defineConfig({
  base: './',
  plugins: [inlineAssets()],
  build: {
    emptyOutDir: false,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      input: 'vnc.html',
      output: { codeSplitting: false },
    },
  },
});
