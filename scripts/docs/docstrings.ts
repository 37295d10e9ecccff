/**
 * The exports of modules and the members of their types, and those of them that have no docstring.
 */
import * as ts from "typescript"

/** Names are paths, sorted: `Producer.ProducerError.reason`. */
export interface Survey {
  readonly exports: number
  readonly members: number
  readonly undocumentedExports: ReadonlyArray<string>
  readonly undocumentedMembers: ReadonlyArray<string>
}

/** An export or a member, with the declarations that need a docstring: all overloads of a function, for example. */
interface Item {
  readonly name: string
  readonly declarations: ReadonlyArray<ts.Node>
}

const isDocumented = (node: ts.Node): boolean =>
  ts
    .getJSDocCommentsAndTags(ts.isVariableDeclaration(node) ? node.parent.parent : node)
    .some((comment) => ts.isJSDoc(comment) && Boolean(ts.getTextOfJSDocComment(comment.comment)?.trim()))

/** Whether a comment stands before a member of a union, ahead of its `|`. */
const isDocumentedVariant = (node: ts.Node): boolean => {
  const { parent } = node
  if (!ts.isUnionTypeNode(parent)) return false
  const before = parent.types[parent.types.indexOf(node as ts.TypeNode) - 1]
  return parent
    .getSourceFile()
    .text.slice(before?.end ?? parent.pos, node.getStart())
    .includes("/**")
}

const isMember = (node: ts.Declaration): boolean =>
  (ts.isPropertySignature(node) ||
    ts.isMethodSignature(node) ||
    ts.isPropertyDeclaration(node) ||
    ts.isMethodDeclaration(node) ||
    ts.isGetAccessor(node)) &&
  (ts.getCombinedModifierFlags(node) & (ts.ModifierFlags.Override | ts.ModifierFlags.Private)) === 0

/** An overloaded function's implementation isn't part of its type. */
const isImplementation = (node: ts.Declaration, all: ReadonlyArray<ts.Declaration>): boolean =>
  all.length > 1 && ts.isFunctionDeclaration(node) && node.body !== undefined

/** Surveys one module. Types of other files count if it re-exports them; `isOwn` selects the files to look at. */
export const survey = (program: ts.Program, file: string, isOwn: (file: string) => boolean): Survey => {
  const checker = program.getTypeChecker()
  const module = checker.getSymbolAtLocation(program.getSourceFile(file)!)!
  const prefix = file.replace(/^.*\/(.*)\.ts$/, "$1")
  const ownOf = (symbol: ts.Symbol): ReadonlyArray<ts.Declaration> =>
    (symbol.declarations ?? []).filter((node) => isOwn(node.getSourceFile().fileName))

  const exported = checker.getExportsOfModule(module).flatMap((symbol) => {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
    const own = ownOf(target)
    const declarations = own.filter((node) => !isImplementation(node, own))
    return declarations.length === 0 ? [] : [{ name: `${prefix}.${symbol.name}`, target, declarations }]
  })

  /** The types whose members belong to an export: its own, or the variants of a union, and a tag's service. */
  const typesOf = (target: ts.Symbol, declaration: ts.Node): ReadonlyArray<ts.Type> => {
    if (ts.isClassDeclaration(declaration)) {
      const service = checker.getTypeOfSymbol(target).getProperty("Service")
      const types = [checker.getDeclaredTypeOfSymbol(target)]
      return service === undefined ? types : [...types, checker.getTypeOfSymbol(service)]
    }
    if (!ts.isInterfaceDeclaration(declaration) && !ts.isTypeAliasDeclaration(declaration)) return []
    const type = checker.getDeclaredTypeOfSymbol(target)
    return type.isUnion() ? type.types : [type]
  }

  const members = new Map<ts.Node, Item>()
  for (const { declarations, name, target } of exported) {
    for (const type of declarations.flatMap((declaration) => typesOf(target, declaration))) {
      for (const property of type.getProperties()) {
        const own = ownOf(property).filter(isMember)
        if (own.length > 0 && property.name !== "_tag" && !members.has(own[0]!)) {
          members.set(own[0]!, { name: `${name}.${property.name}`, declarations: own })
        }
      }
    }
  }

  const undocumented = (items: Iterable<Item>, isFine: (node: ts.Node) => boolean): ReadonlyArray<string> =>
    Array.from(items)
      .filter(({ declarations }) => !declarations.every(isFine))
      .map(({ name }) => name)
      .sort()
  return {
    exports: exported.length,
    members: members.size,
    undocumentedExports: undocumented(exported, isDocumented),
    undocumentedMembers: undocumented(
      members.values(),
      (node) => isDocumented(node) || isDocumentedVariant(node.parent)
    )
  }
}
