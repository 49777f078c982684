/** ext4 on the LUNs that each host has, and mount(8) over them. */
import type { ModelHost } from '../model/machine.ts'
import { createVolume, type Volume } from '../model/volume.ts'
import { extModelOn, type ExtDevice, type ExtModel } from './ext.ts'
import type { Upper } from './luns.ts'
import { createMountModel, type Backend, type Mounted, type MountModel } from './mount.ts'

/** The tools of each host with its own devices; the file systems are on the array, which both share. */
const backendOf = (perHost: ReadonlyMap<string, { readonly devices: ExtDevice[]; readonly model: ExtModel }>, volumes: Map<number, Volume>, luns: Volume): Backend & { readonly devicesOf: (host: ModelHost) => ExtDevice[] } => {
  const of = (host: ModelHost): { readonly devices: ExtDevice[]; readonly model: ExtModel } => {
    const found = perHost.get(host.id)
    if (found === undefined) throw new Error(`the model knows no host ${host.id}`)
    return found
  }
  const array = extModelOn(createVolume(), [...luns.root.entries].map(([name, inode], index) => ({ name, numbers: `0:${index}`, inode })), volumes)
  return {
    devicesOf: (host) => of(host).devices,
    tools: [...perHost.values()][0]?.model.tools ?? [],
    run: (command, host, mounted: readonly Mounted[]) => of(host).model.run(command, host, mounted),
    offer: (request, host) => of(host).model.offer(request, host),
    // What is on the array, whoever is logged in.
    inventory: (host) => array.inventory(host),
    copy(volume) {
      const copied = new Map([...volumes].map(([number, original]) => [number, volume(original)]))
      return backendOf(perHostOf([...perHost.keys()], copied), copied, volume(luns))
    },
  }
}

const perHostOf = (hosts: readonly string[], volumes: Map<number, Volume>): ReadonlyMap<string, { readonly devices: ExtDevice[]; readonly model: ExtModel }> =>
  new Map(hosts.map((id) => {
    const devices: ExtDevice[] = []
    return [id, { devices, model: extModelOn(createVolume(), devices, volumes) }]
  }))

const build = (mounts: MountModel<ReturnType<typeof backendOf>>): Upper => ({
  tools: mounts.tools,
  run: (command, host) => mounts.run(command, host) as Awaited<ReturnType<Upper['run']>>,
  see(host, luns) {
    const devices = mounts.backend.devicesOf(host)
    devices.splice(0, devices.length, ...luns.flatMap(({ name, numbers, names, inode }) => (inode === undefined ? [] : [{ name, numbers, names, inode }])))
  },
  holders: () => [],
  owns: () => false,
  inventory: (host) => mounts.inventory(host),
  copy: (volume, rebooted) => build(mounts.copy(volume, rebooted) as MountModel<ReturnType<typeof backendOf>>),
})

export const extOnLuns = (luns: Volume, hosts: readonly ModelHost[]): Upper => {
  const volumes = new Map<number, Volume>()
  return build(createMountModel(hosts, backendOf(perHostOf(hosts.map(({ id }) => id), volumes), volumes, luns)))
}
