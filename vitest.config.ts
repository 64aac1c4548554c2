import { defineConfig } from "vitest/config"

const src = (file: string) => new URL(`./src/${file}`, import.meta.url).pathname

export default defineConfig({
  resolve: {
    alias: [
      // How requests take part in loads, on Workers and elsewhere; `npm run test:web` chooses what Workers have.
      { find: "#loading", replacement: src(`internal/loading.${process.env["LOADING"] ?? "shared"}.ts`) },
      // The signature backend: `BACKEND=web npm test` runs everything against the other one.
      { find: "#signature", replacement: src(`internal/signature.${process.env["BACKEND"] ?? "node"}.ts`) },
      { find: /^effect-resource-server$/, replacement: src("index.ts") },
      { find: /^effect-resource-server\/(.*)$/, replacement: src("$1.ts") }
    ]
  },
  test: { include: ["test/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 }
})
