/**
 * The types that public signatures name and no public module exports: a user's own declarations can't name them.
 */
import * as ts from "typescript"

export interface Leak {
  readonly type: string
  readonly file: string
  /** A public module whose signatures need the type. */
  readonly module: string
}

const resolved = (checker: ts.TypeChecker, symbol: ts.Symbol): ts.Symbol =>
  symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol

/** Whether declarations must name it: TypeScript spells an alias of a public module out instead. */
const isNamed = (node: ts.Node, isPrivate: boolean): boolean =>
  ts.isInterfaceDeclaration(node) || ts.isClassDeclaration(node) || (isPrivate && ts.isTypeAliasDeclaration(node))

/** The declaration files are `modules` and those that they import; `isPrivate` selects the ones a user can't import. */
export const leaks = (
  program: ts.Program,
  modules: ReadonlyArray<string>,
  isPrivate: (file: string) => boolean
): ReadonlyArray<Leak> => {
  const checker = program.getTypeChecker()
  const exportsOf = (file: string) => {
    const module = checker.getSymbolAtLocation(program.getSourceFile(file)!)
    return module === undefined ? [] : checker.getExportsOfModule(module).map((symbol) => resolved(checker, symbol))
  }
  const named = new Set(modules.flatMap(exportsOf))
  const found = new Map<ts.Symbol, Leak>()

  const walk = (module: string, seen: Set<ts.Symbol>, symbol: ts.Symbol): void => {
    if (seen.has(symbol)) return
    seen.add(symbol)
    for (const declaration of symbol.declarations ?? []) {
      if (ts.isSourceFile(declaration)) continue
      const file = declaration.getSourceFile().fileName
      if (!isPrivate(file) && !modules.includes(file)) continue
      if (!named.has(symbol) && isNamed(declaration, isPrivate(file))) {
        found.set(symbol, { type: symbol.name, file, module })
      }
      visit(module, seen, declaration)
    }
  }

  const visit = (module: string, seen: Set<ts.Symbol>, node: ts.Node): void => {
    if (ts.isIdentifier(node) && !ts.isPropertySignature(node.parent)) {
      const symbol = checker.getSymbolAtLocation(node)
      if (symbol !== undefined) walk(module, seen, resolved(checker, symbol))
    }
    ts.forEachChild(node, (child) => visit(module, seen, child))
  }

  for (const module of modules) for (const symbol of exportsOf(module)) walk(module, new Set(), symbol)
  return [...found.values()]
}
