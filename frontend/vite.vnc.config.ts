import { defineConfig } from 'vite';

import { inlineAssets } from './build/inline-assets.ts';

/** Builds the noVNC page as one file into the output directory of the panel's build. */
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
