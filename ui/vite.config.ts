// Builds what oobd serves from disk. The board's Content-Security-Policy is `default-src 'self'`: nothing inline, no data: addresses.
import { defineConfig } from "vite";

export default defineConfig({
  build: {
    outDir: process.env.OOBD_UI_OUT ?? "dist",
    emptyOutDir: true,
    target: ["chrome108", "firefox102", "safari16.4"],
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    // scripts/build-ui measures and holds the budget.
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1000,
  },
  // `npx vite` beside a board: OOBD_BOARD=https://10.0.0.5 npx vite
  server: { proxy: { "/api": { target: process.env.OOBD_BOARD ?? "https://localhost", secure: false, ws: true } } },
});
