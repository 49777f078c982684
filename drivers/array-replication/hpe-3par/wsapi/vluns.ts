/** `/vluns`: which volume which host sees under which number. Templates only: active rows come and go with logins and are nobody's export. */
import { StorageError } from '../../../../core/errors.ts'
import { build } from './enums.ts'
import { layer } from './layer.ts'
import type { Wsapi } from './client.ts'
import { segment, withQuery } from './query.ts'
import { listOf, Vlun } from './schemas.ts'

export interface VlunTemplate {
  readonly volume: string
  readonly lun: number
  /** A host, or `set:<host set>`; absent for an export to a port. */
  readonly host?: string
  readonly port?: string
}

/** Templates, as far as the array can look for them (`matches` does the rest); with none that is an empty list. */
export const listVluns = async (api: Wsapi, query: string | undefined, signal: AbortSignal): Promise<readonly Vlun[]> =>
  (await api.get(withQuery('/vluns', api.build >= build.vlunQuery ? query : undefined), listOf(Vlun), 'list the exports', signal)).members

export const templateOf = (vlun: Vlun): VlunTemplate => ({
  volume: vlun.volumeName, lun: vlun.lun, ...(vlun.hostname === undefined ? {} : { host: vlun.hostname }),
  ...(vlun.portPos === undefined ? {} : { port: `${vlun.portPos.node}:${vlun.portPos.slot}:${vlun.portPos.cardPort}` }),
})

/** What was made is told by the Location header alone: `vol,lun,host[,n:s:p]`. */
const fromLocation = (location: string | undefined, what: string): VlunTemplate => {
  const [volume, lun, host, port] = decodeURIComponent(location?.split('/vluns/')[1] ?? '').split(',')
  if (volume === undefined || volume === '' || lun === undefined || !/^\d+$/.test(lun)) {
    throw new StorageError('outcomeUnknown', `${what}: the array did not tell the LUN it chose`, { layer, mayHaveChanged: true, remedy: 'List the exports of the volume before trying again' })
  }
  return { volume, lun: Number(lun), ...(host === undefined || host === '' ? {} : { host }), ...(port === undefined || port === '' ? {} : { port }) }
}

/** A number that the host uses for nothing else; the lowest free one at or above `from`. */
export const createVlun = async (api: Wsapi, volume: string, host: string, from: number, signal: AbortSignal): Promise<VlunTemplate> => {
  const what = `present volume ${volume} to ${host}`
  const { location } = await api.write({ method: 'POST', path: '/vluns', body: { volumeName: volume, hostname: host, lun: from, autoLun: true, maxAutoLun: 0 }, what }, signal)
  return fromLocation(location, what)
}

export const removeVlun = async (api: Wsapi, { volume, lun, host, port }: VlunTemplate, signal: AbortSignal): Promise<void> => {
  const name = [segment(volume), String(lun), ...(host === undefined ? (port === undefined ? [] : ['']) : [segment(host)]), ...(port === undefined ? [] : [port])].join(',')
  await api.write({ method: 'DELETE', path: `/vluns/${name}`, what: `stop presenting volume ${volume}${host === undefined ? '' : ` to ${host}`}` }, signal)
}
