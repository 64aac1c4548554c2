/**
 * Which module of src imports what.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join, posix } from "node:path"
import ts from "typescript"
import { root } from "./compile.ts"

/** An import that is there at runtime: `import type` and `export type` are not. */
export interface Import {
  /** The importing module, without folder `src` and extension: `KeySet`, `internal/jose`. */
  readonly from: string
  /** The imported module, spelled the same way; a package as it is written. */
  readonly to: string
}

/** The modules of src, without extension. */
export const names: ReadonlyArray<string> = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => name.replace(/\.ts$/, ""))
  .sort()

/** The imports of one module. `import { type A }` counts: it leaves `import {}` behind. */
export const importsOf = (from: string, text: string): ReadonlyArray<Import> =>
  ts
    .createSourceFile(`${from}.ts`, text, ts.ScriptTarget.Latest)
    .statements.flatMap((statement) => {
      if (ts.isImportDeclaration(statement)) {
        return statement.importClause?.isTypeOnly === true ? [] : [statement.moduleSpecifier]
      }
      if (!ts.isExportDeclaration(statement) || statement.isTypeOnly) return []
      return statement.moduleSpecifier === undefined ? [] : [statement.moduleSpecifier]
    })
    .filter(ts.isStringLiteral)
    .map(({ text: specifier }) => ({
      from,
      to: specifier.startsWith(".") ? posix.join(posix.dirname(from), specifier).replace(/\.ts$/, "") : specifier
    }))

/** All imports of src. */
export const imports: ReadonlyArray<Import> = names.flatMap((name) =>
  importsOf(name, readFileSync(join(root, "src", `${name}.ts`), "utf8"))
)
