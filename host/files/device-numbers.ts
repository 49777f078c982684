/** The numbers of a device as `stat` packs them (makedev(3), glibc): how a mount, a node and /sys speak of the same device. */

export interface DeviceNumbers {
  readonly major: number
  readonly minor: number
}

export const deviceNumbers = (packed: number): DeviceNumbers => {
  const low = packed % 2 ** 32
  const high = Math.floor(packed / 2 ** 32)
  return {
    major: ((low >>> 8) & 0xfff) + ((high & 0xfffff000) >>> 0),
    minor: (low & 0xff) + ((low >>> 12) & 0xfff00) + (high & 0xfff) * 2 ** 20,
  }
}

/** `8:1`, of the identity (`device:inode`) that a file answers: the device it lies on. */
export const deviceOfIdentity = (identity: string): string => {
  const { major, minor } = deviceNumbers(Number(identity.split(':')[0]))
  return `${major}:${minor}`
}
