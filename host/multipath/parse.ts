/** Reads what multipathd says (multipath-tools 0.9.4; Debian 12). */
import * as z from 'zod'
import { StorageError } from '../../core/errors.ts'

export interface MultipathPath {
  /** `sda` */
  readonly disk: string
  /** What the checker found: `ready`, `faulty`, `ghost`, `shaky` ... */
  readonly checked: string
}

export interface MultipathMap {
  readonly name: string
  readonly wwid: string
  readonly paths: readonly MultipathPath[]
}

const Maps = z.object({
  maps: z.array(z.object({
    name: z.string(), uuid: z.string(),
    path_groups: z.array(z.object({ paths: z.array(z.object({ dev: z.string(), chk_st: z.string() })) })).default([]),
  })),
})

/**
 * Sample, `multipathd show maps json` with one of two paths dead, shortened:
 *   { "major_version": 0, "minor_version": 1,
 *     "maps": [{ "name" : "36001405aaaa...", "uuid" : "36001405aaaa...", "sysfs" : "dm-0", "queueing" : "12 chk", "paths" : 1, "dm_st" : "active",
 *       "path_groups": [{ "selector" : "service-time 0", "pri" : 50, "group" : 1,
 *         "paths": [{ "dev" : "sda", "dev_t" : "8:0", "dm_st" : "active", "dev_st" : "running", "chk_st" : "ready", "checker" : "tur" },
 *                   { "dev" : "sdb", "dev_t" : "8:16", "dm_st" : "failed", "dev_st" : "running", "chk_st" : "faulty", "checker" : "tur" }] }] }] }
 */
export const parseMaps = (text: string): readonly MultipathMap[] => {
  try {
    return Maps.parse(JSON.parse(text)).maps.map(({ name, uuid, path_groups }) => ({
      name, wwid: uuid, paths: path_groups.flatMap(({ paths }) => paths.map(({ dev, chk_st }) => ({ disk: dev, checked: chk_st }))),
    }))
  } catch (error) {
    throw new StorageError('toolFailed', `multipathd answered something else than expected: ${JSON.stringify(text.slice(0, 200))}`, {
      layer: 'host:multipathd', cause: error, remedy: 'Report this with the version of multipath-tools on this host',
    })
  }
}
