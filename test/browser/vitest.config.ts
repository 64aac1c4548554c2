/**
 * The tests that need Chromium: `npm run test:browser`.
 */
import { defineConfig } from "vitest/config"
import base from "../../vitest.config.ts"

// Not `mergeConfig`, which would add to what `npm test` includes.
export default defineConfig({ ...base, test: { ...base.test, include: ["test/browser/*.browser.ts"] } })
