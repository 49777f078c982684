/** How a half-written dconf of either type is probed. */
import type { Ctx, DeviceConfig, ProbeResult } from '../../core/contract.ts'
import { probeDevices } from '../../stores/logical-volumes/probe.ts'
import { devicesOf } from './dconf.ts'

export const probeWith = async (ctx: Ctx, kind: 'thick' | 'thin', partial: DeviceConfig): Promise<ProbeResult> => {
  const { device, ...rest } = partial
  return probeDevices(ctx, kind, device === undefined ? [] : devicesOf(device), rest)
}
