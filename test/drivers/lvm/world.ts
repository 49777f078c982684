/** A model host with disks for the tests of what is special about LVM: one engine a process, every command counted. */
import type { ParamsIn, MethodName, Result } from '../../../core/methods/index.ts'
import type { VdiInfo } from '../../../core/methods/wire.ts'
import { GiB } from '../../../core/units.ts'
import lvm from '../../../drivers/lvm/lvm.driver.ts'
import lvmthin from '../../../drivers/lvm/lvmthin.driver.ts'
import { lvmState, lvmTools } from '../../kit/fakes/lvm.ts'
import { inventoryLines } from '../../kit/fakes/lvm/device-tools.ts'
import type { Disk } from '../../kit/fakes/lvm/disks.ts'
import type { LvmState } from '../../kit/fakes/lvm/state.ts'
import { startEngine, type Machine, type ModelEngine } from '../../kit/model/machine.ts'
import type { Fault, ProcessWatch } from '../../kit/model/process.ts'
import { buildMachine, createLogBook } from '../../kit/model/world.ts'

export const sr = '87b8646b-b800-9500-cb7b-af3b74e02f5c'
export const vdi = '98de866e-b035-4b1a-a571-613bff542b89'
export const other = '0b1ad7ee-42a3-4f2e-a9c2-6bdc0d2d7f53'
export const vg = `VG_XenStorage-${sr}`

export interface LvmWorld {
  readonly engine: ModelEngine
  readonly machine: Machine
  readonly state: LvmState
  readonly disks: readonly Disk[]
  disk(index: number): Disk
  /** Every command since `ran.length = 0`, with its tool first. */
  readonly ran: string[]
  readonly logged: () => string
  call<M extends MethodName>(method: M, params: ParamsIn<M>): Promise<Result<M>>
  /** SR.create and SR.attach on the first disk. */
  sr(deviceConfig?: Readonly<Record<string, string>>): Promise<void>
  vdi(more?: Partial<ParamsIn<'VDI.create'>>): Promise<VdiInfo>
  /** Another process on the same host. */
  process(watch?: ProcessWatch): LvmWorld
  inventory(): readonly string[]
}

export interface LvmWorldOptions {
  readonly type?: 'lvm' | 'lvmthin'
  readonly disks?: readonly number[]
  readonly faults?: readonly Fault[]
}

export const lvmWorld = ({ type = 'lvm', disks = [GiB, GiB], faults = [] }: LvmWorldOptions = {}): LvmWorld => {
  const driver = type === 'lvm' ? lvm : lvmthin
  const machine = buildMachine({ driver, deviceConfig: {}, tools: lvmTools(disks) })
  const state = lvmState(machine)
  const book = createLogBook()

  const disk = (index: number): Disk => {
    const found = state.disks[index]
    if (found === undefined) throw new Error(`there is no disk ${index}`)
    return found
  }

  const process = (watch: ProcessWatch = {}): LvmWorld => {
    const ran: string[] = []
    // Asked before every step, also of those that only read.
    const counting: Fault = {
      when: (step) => {
        if (step.call === 'run') ran.push(step.target)
        return false
      },
      fails: 'EIO',
    }
    const engine = startEngine(machine, machine.first, { driver, log: book.log, ...watch, faults: [counting, ...(watch.faults ?? [])] })
    const call: LvmWorld['call'] = async (method, params) => engine.call(method, params)
    return {
      engine, machine, state, disks: state.disks, disk, ran, logged: book.text, call, process,
      async sr(deviceConfig = { device: '/dev/vda' }) {
        await call('SR.create', { sr_uuid: sr, type, device_config: deviceConfig, name: 'disks' })
        await call('SR.attach', { sr_uuid: sr })
      },
      vdi: async (more = {}) => call('VDI.create', { sr_uuid: sr, vdi_uuid: vdi, size: 8 * 2 ** 20, ...more }),
      inventory: () => inventoryLines(state),
    }
  }
  return process({ faults })
}
