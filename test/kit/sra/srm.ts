/** Plays SRM at one site: a request as XML, the response as XML, and nothing else between it and the adapter. Every response is read by the tables. */
import { strict as assert } from 'node:assert'
import { createArrayRegistry } from '../../../core/array/ports.ts'
import type { OpenArray } from '../../../core/array/contract.ts'
import { answer } from '../../../sra/answer.ts'
import { adapterOf } from '../../../sra/adapter.ts'
import { readRequest, writeRequest } from '../../../sra/request.ts'
import { readResponse } from '../../../sra/response.ts'
import type { AnswerOf, CommandName, RequestOf } from '../../../sra/schema/index.ts'
import { validate } from '../../../sra/validate.ts'
import { createMachine, ctxOn, type SiteName } from '../replication/world.ts'
import type { PlayWorld } from './world.ts'

export const password = 'correct-horse-battery'
export const username = 'replication-admin'

export interface Srm {
  readonly site: SiteName
  /** The answer; a whole error throws. */
  ask<C extends CommandName>(command: C, parameters: RequestOf<C>['parameters']): Promise<AnswerOf<C>>
  /** Everything that was logged so far. */
  readonly log: string[]
  readonly progress: number[]
}

export interface SrmOptions {
  readonly wrap?: (array: OpenArray) => OpenArray
  readonly filter?: string
}

let runs = 0

/** Each command is a process of its own: another run id, another connection, only this site's array. All share the machine's locks. */
export const srmAt = (world: PlayWorld, site: SiteName, { wrap = (array) => array, filter }: SrmOptions = {}): Srm => {
  const machine = createMachine(`host-${site}`)
  const log: string[] = []
  const progress: number[] = []
  const driver = { ...world.driver, connect: async () => wrap(await world.open(site)) }
  const records = { list: () => [{ name: 'here', type: driver.type, connection: {} }], get: () => undefined, put: () => undefined, remove: () => false }
  const arrays = { registry: createArrayRegistry({ [driver.type]: async () => driver }), records }
  return {
    site, log, progress,
    async ask(command, parameters) {
      const { signal, clock, host } = ctxOn(machine)
      const xml = writeRequest({
        command, parameters, outputFile: '/tmp/response.xml', logLevel: 'verbose',
        connections: [{ id: 'array', addresses: [{ id: 'address', text: 'here' }], username, password, ...(filter === undefined ? {} : { opaques: [{ id: 'deviceNamePrefix', text: filter }] }) }],
      } as RequestOf<typeof command>)
      const read = await readRequest(xml)
      const setting = { adapter: adapterOf(driver, '0'), arrays, host, clock, signature: 'the adapter 0 of today', runId: `run${(runs += 1)}`, signal }
      const response = await answer(read, setting, { line: (text) => log.push(text), progress: (percent) => progress.push(percent) })
      assert.deepEqual((await validate(response, command)).findings, [], `the response of ${command} is not as the interface asks`)
      const value = await readResponse(command, response)
      if ('error' in value) assert.fail(`${command} at ${site}: ${JSON.stringify(value.error)}`)
      return value
    },
  }
}
