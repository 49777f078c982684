/** What the collector owes, as a pure function of what a scan found. */
import type { CollectorStep, VdiKind } from './contract.ts'
import type { VdiUuid } from './ids.ts'

export interface ChainNode {
  readonly uuid: VdiUuid
  readonly kind: VdiKind
  readonly parent?: VdiUuid
  /** Bytes it occupies itself. */
  readonly bytes: number
  /** False: damaged, or its chain is broken. Nothing is done with it, nor with what it hangs on. */
  readonly sound: boolean
}

const childrenOf = (nodes: readonly ChainNode[]): ReadonlyMap<VdiUuid, readonly ChainNode[]> => {
  const children = new Map<VdiUuid, ChainNode[]>()
  for (const node of nodes) {
    if (node.parent === undefined) continue
    const siblings = children.get(node.parent)
    if (siblings === undefined) children.set(node.parent, [node])
    else siblings.push(node)
  }
  return children
}

/**
 * Steps, cheapest first: a base without children is removed; a base with a single child takes that child's data and then
 * its place. A base with several children keeps its data to itself, since the others would see the change. Every VDI
 * that reads through the pair must be out of use meanwhile.
 */
export const planCollection = (nodes: readonly ChainNode[]): readonly CollectorStep[] => {
  const children = childrenOf(nodes)
  const descendants = (uuid: VdiUuid, seen: Set<VdiUuid>): Set<VdiUuid> => {
    for (const child of children.get(uuid) ?? []) {
      if (seen.has(child.uuid)) continue
      seen.add(child.uuid)
      descendants(child.uuid, seen)
    }
    return seen
  }
  const steps = nodes.flatMap((base): readonly CollectorStep[] => {
    if (base.kind !== 'base' || !base.sound) return []
    const [child, ...others] = children.get(base.uuid) ?? []
    if (child === undefined) return [{ action: 'remove', vdi: base.uuid, needs: [base.uuid], bytes: 0 }]
    if (others.length > 0 || !child.sound) return []
    return [{ action: 'coalesce', vdi: base.uuid, child: child.uuid, needs: [base.uuid, ...descendants(base.uuid, new Set())].sort(), bytes: child.bytes }]
  })
  return steps.sort((a, b) => (a.action === b.action ? a.bytes - b.bytes : a.action === 'remove' ? -1 : 1))
}
