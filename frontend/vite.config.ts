import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

import { limitFirstLoad } from './build/first-load.ts';

/** The control role that `npm run dev` forwards requests to; the second name is the original's. */
const origin =
  process.env.CAMOFLEET_ORIGIN ?? process.env.VITE_API_ORIGIN ?? 'http://127.0.0.1:9000';

export default defineConfig({
  plugins: [react(), limitFirstLoad()],
  // The panel may be served below any path, so its files refer to each other by relative paths.
  base: './',
  build: {
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    license: { fileName: 'assets/licenses.md' },
  },
  server: {
    proxy: {
      '/api/': { target: origin, ws: true },
      '/vnc/': { target: origin, ws: true },
      '/websockify': { target: origin, ws: true },
    },
  },
  test: {
    environment: 'jsdom',
    include: ['src/**/*.spec.{ts,tsx}'],
    setupFiles: ['src/test/setup.ts'],
    testTimeout: 30_000,
    restoreMocks: true,
    // Style sheets are empty in tests, but for those that read one.
    css: { include: /sessions\.css/ },
    unstubGlobals: true,
  },
});
