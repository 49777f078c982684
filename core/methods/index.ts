/**
 * The one table of calls. Server, validation, OpenRPC, typed client, smctl, the driver executables and the reference page
 * are made from it; a call exists because it has a row here and a handler of the same name in core/operations.
 */
import type * as z from 'zod'
import { arrayMethods } from './array.ts'
import type { MethodShape } from './define.ts'
import { replicationMethods } from './replication.ts'
import { serviceMethods } from './service.ts'
import { siteRecoveryMethods } from './site-recovery.ts'
import { srMethods } from './sr.ts'
import { vdiMethods } from './vdi.ts'

export const methods = { ...srMethods, ...vdiMethods, ...arrayMethods, ...replicationMethods, ...siteRecoveryMethods, ...serviceMethods } as const

export type Methods = typeof methods
export type MethodName = keyof Methods
/** As a caller writes them: defaults may be left out. */
export type ParamsIn<M extends MethodName> = z.input<Methods[M]['params']>
/** As a handler gets them. */
export type Params<M extends MethodName> = z.output<Methods[M]['params']>
export type Result<M extends MethodName> = z.output<Methods[M]['result']>

export const methodNames = Object.keys(methods) as MethodName[]
export const isMethod = (name: string): name is MethodName => Object.hasOwn(methods, name)
export const methodShape = (name: MethodName): MethodShape => methods[name]

export { commonErrors, type MethodShape } from './define.ts'
