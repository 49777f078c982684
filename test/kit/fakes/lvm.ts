/** A host with disks and LVM, as one tool model: what the harnesses of the LVM drivers and their own tests put into a model world. */
import { StorageError } from '../../../core/errors.ts'
import type { RunResult } from '../../../core/ports.ts'
import type { Machine, ModelHost, ToolModel } from '../model/machine.ts'
import { createVolume, type Volume } from '../model/volume.ts'
import { runLvm } from './lvm/commands.ts'
import { deviceTools, inventoryLines } from './lvm/device-tools.ts'
import { addDisk } from './lvm/disks.ts'
import { copyState, type LvmState } from './lvm/state.ts'

const states = new WeakMap<ToolModel, LvmState>()

export const lvmToolNames: readonly string[] = ['lvm', ...Object.keys(deviceTools)]

export const runLvmTool = (state: LvmState, argv: readonly string[]): RunResult => {
  const [tool = '', ...args] = argv
  if (state.missingTools.has(tool)) {
    throw new StorageError('toolMissing', `The host tool ${tool} cannot be started: it is not installed or not executable`, { layer: `host:${tool}`, remedy: 'smctl doctor names the missing packages', details: { tool } })
  }
  if (tool === 'lvm') return runLvm(state, args)
  const act = deviceTools[tool]
  if (act === undefined) throw new Error(`the model does not know ${tool}`)
  return act(state, args)
}

const modelOf = (state: LvmState): ToolModel => {
  const model: ToolModel = {
    tools: lvmToolNames,
    run: ({ argv }) => runLvmTool(state, argv),
    inventory: () => inventoryLines(state),
    copy: (volume, rebooted) => modelOf(copyState(state, volume(state.root), rebooted)),
  }
  states.set(model, state)
  return model
}

const rootOf = (host: ModelHost): Volume => host.space.mounts.get('/') ?? createVolume()

/** Blank disks /dev/vda, /dev/vdb ... of these sizes in the root of the first host, and all tools for them. */
export const lvmTools = (sizes: readonly number[]) => (first: ModelHost): readonly ToolModel[] => {
  const root = rootOf(first)
  const disks = sizes.map((size, index) => addDisk(root, `/dev/vd${String.fromCharCode(97 + index)}`, size, `labdisk${index}`))
  return [modelOf({ root, disks, active: new Map(), missingTools: new Set() })]
}

/** The state behind the tools of a machine, for tests that make trouble. */
export const lvmState = (machine: Machine): LvmState => {
  for (const tool of machine.tools) {
    const state = states.get(tool)
    if (state !== undefined) return state
  }
  throw new Error('this machine has no LVM')
}
