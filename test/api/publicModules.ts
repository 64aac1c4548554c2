/**
 * The modules that the package lets others import, by its `exports` map.
 */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"

/** A module that others can import. */
export interface PublicModule {
  /** The last part of its subpath, `BearerAuth` for `effect-resource-server/BearerAuth`; `index` for the package itself. */
  readonly name: string
  /** The source file, from the root of the package: `src/doors/BearerAuth.ts`. */
  readonly path: string
  /** The docstring that the file begins with. */
  readonly about: string
}

type Row = Omit<PublicModule, "about">

interface Manifest {
  readonly name: string
  readonly exports: Readonly<Record<string, string | null | Readonly<Record<string, string>>>>
}

/**
 * The public modules of a package, by name.
 *
 * A row of the map belongs to a module if it has the condition of the package's own name, which leads to the source. Throws
 * where a row leads to no file.
 */
export const publicModules = (root: string): ReadonlyArray<PublicModule> => {
  const { exports, name } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest
  const rows = Object.entries(exports).flatMap(([subpath, target]) => {
    const source = typeof target === "object" && target !== null ? target[name] : undefined
    if (source === undefined) return []
    return [{ name: subpath === "." ? "index" : subpath.slice(2), path: source.replace(/^\.\//, "") }]
  })
  return rows
    .map((row) => ({ ...row, about: aboutOf(root, row) }))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

const aboutOf = (root: string, { name, path }: Row): string => {
  if (!existsSync(join(root, path))) throw new Error(`package.json exports ${name} from ${path}, which is not there`)
  const text = readFileSync(join(root, path), "utf8")
  return (/^\/\*\*([^]*?)\*\//.exec(text)?.[1] ?? "").replace(/^ *\* ?/gm, "").trim()
}
