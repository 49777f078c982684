/** Names of volume groups, logical volumes and their device nodes: pure functions. */

/** Volume group of an SR, and logical volume of a VDI, as the SM API names them (sr_create and vdi_attach, "Examples"). */
export const vgPrefix = 'VG_XenStorage-'
export const lvPrefix = 'LV-'

/** The node that a consumer opens; udev keeps it while the volume is active. */
export const devicePath = (vg: string, lv: string): string => `/dev/${vg}/${lv}`

/** Device-mapper joins both names by a dash and doubles the dashes within them (lvm(8), "VALID NAMES"). */
export const mapperName = (vg: string, lv: string): string => `${vg.replaceAll('-', '--')}-${lv.replaceAll('-', '--')}`

/** Start of the device-mapper names of everything in the group. */
export const mapperPrefix = (vg: string): string => `${vg.replaceAll('-', '--')}-`

/** The uuid that device-mapper shows for a volume: both LVM uuids without their dashes, and a suffix for hidden layers. */
export const mapperUuid = (vgUuid: string, lvUuid: string): string => `LVM-${vgUuid.replaceAll('-', '')}${lvUuid.replaceAll('-', '')}`
