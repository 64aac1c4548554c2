/**
 * Which module of src imports what, and which modules the package exports.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join, posix } from "node:path"
import ts from "typescript"
import { publicModules } from "../api/publicModules.ts"
import { root } from "./compile.ts"

/** An import or a re-export. */
export interface Import {
  /** The importing module, without folder `src` and extension: `issuer/KeySet`. */
  readonly from: string
  /** The imported module, spelled the same way; a package as it is written. */
  readonly to: string
  /** Whether nothing is left of it when the program runs. */
  readonly isType: boolean
}

interface Manifest {
  readonly imports: Readonly<Record<string, object>>
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional: boolean }>>
}

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest

const moduleOf = (path: string): string => path.replace(/^(\.\/)?src\//, "").replace(/\.ts$/, "")

/** The modules of src. */
export const modules: ReadonlyArray<string> = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map(moduleOf)
  .sort()

/** The modules that have a row in the `exports` of package.json, and `index`. */
export const exported: ReadonlyArray<string> = publicModules(root).map(({ path }) => moduleOf(path))

const optionalPeers = Object.entries(manifest.peerDependenciesMeta).flatMap(([name, { optional }]) =>
  optional ? [name] : []
)

/** Whether this is a peer that an app need not install, or a part of one. */
export const isOptionalPeer = (specifier: string): boolean =>
  optionalPeers.some((peer) => `${specifier}/`.startsWith(`${peer}/`))

/** The files that a condition map of package.json leads to. */
const targets = (map: string | object): ReadonlyArray<string> =>
  typeof map === "string" ? [map] : Object.values(map).flatMap(targets)

/** What a specifier means in a module. A name such as `#signature` means a module for each runtime. */
const meant = (from: string, specifier: string): ReadonlyArray<string> => {
  if (specifier.startsWith(".")) return [moduleOf(posix.join(posix.dirname(from), specifier))]
  if (!specifier.startsWith("#")) return [specifier]
  return targets(manifest.imports[specifier] ?? {})
    .filter((path) => path.startsWith("./src/"))
    .map(moduleOf)
}

/** The imports of one module, by its text. `import { type A }` is no import of a type alone: it leaves `import {}` behind. */
export const importsOf = (from: string, text: string): ReadonlyArray<Import> => {
  const found: Array<Import> = []
  const add = (specifier: ts.Node | undefined, isType: boolean) => {
    if (specifier === undefined || !ts.isStringLiteral(specifier)) return
    meant(from, specifier.text).forEach((to) => found.push({ from, to, isType }))
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, node.importClause?.isTypeOnly === true)
    if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly)
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true)
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node.arguments[0], false)
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(`${from}.ts`, text, ts.ScriptTarget.Latest))
  return found
}

/** All imports of src. */
export const imports: ReadonlyArray<Import> = modules.flatMap((name) =>
  importsOf(name, readFileSync(join(root, "src", `${name}.ts`), "utf8"))
)

/** What a module uses, directly or not: itself only in a circle. */
export const reach = (from: string, all: ReadonlyArray<Import>): ReadonlySet<string> => {
  const reached = new Set<string>()
  const visit = (name: string): void =>
    all.forEach((one) => {
      if (one.from !== name || reached.has(one.to)) return
      reached.add(one.to)
      visit(one.to)
    })
  visit(from)
  return reached
}
