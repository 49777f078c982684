/** Reads what dmsetup answers. */

export interface DeviceMap {
  readonly name: string
  readonly uuid: string
  readonly open: number
  readonly suspended: boolean
}

// dmsetup 1.02.185, info --columns --noheadings --separator '|' -o name,uuid,open,suspended:
// VG_X-t1|LVM-eNpUW5xXAHP0m8xZ80x6a5V1gm0daGKsN48jPq4iQDN3cpuSqGzsW0Tz1PzFFVxu|0|Active
// None: "No devices found".
export const parseMaps = (text: string): readonly DeviceMap[] =>
  text.split('\n').flatMap((line) => {
    const [name, uuid, open, suspended] = line.split('|').map((field) => field.trim())
    if (name === undefined || name === '' || uuid === undefined || open === undefined || suspended === undefined) return []
    return [{ name, uuid, open: Number(open), suspended: suspended !== 'Active' }]
  })
