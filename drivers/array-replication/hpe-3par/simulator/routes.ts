/** Every resource of the API and who answers it. */
import { copyRoutes } from './copies.ts'
import { cpgRoutes } from './cpgs.ts'
import { hostRoutes } from './hosts.ts'
import { keyValueRoutes } from './key-values.ts'
import type { Handler } from './model.ts'
import { portRoutes } from './ports.ts'
import { groupRoutes } from './remote-copy/groups.ts'
import { membershipRoutes } from './remote-copy/membership.ts'
import { roleRoutes } from './remote-copy/roles.ts'
import { setRoutes } from './sets.ts'
import { systemRoutes } from './system.ts'
import { taskRoutes } from './tasks.ts'
import { vlunRoutes } from './vluns.ts'
import { volumeRoutes } from './volumes.ts'

interface Route {
  readonly method: string
  readonly pattern: string
  readonly parts: readonly string[]
  readonly handler: Handler
}

const routes: readonly Route[] = [
  ...systemRoutes, ...cpgRoutes, ...volumeRoutes, ...copyRoutes, ...setRoutes, ...hostRoutes, ...vlunRoutes, ...portRoutes, ...taskRoutes, ...keyValueRoutes,
  ...groupRoutes, ...membershipRoutes, ...roleRoutes,
].map(([method, pattern, handler]): Route => ({ method, pattern, parts: pattern.split('/'), handler }))

export interface Found {
  readonly pattern: string
  readonly params: Readonly<Record<string, string>>
  readonly handler: Handler
}

/** Parts are compared before they are decoded: a `/` within a name is no separator. */
export const findRoute = (method: string, path: string): Found | undefined => {
  const parts = path.split('/')
  const found = routes.find((route) => route.method === method && route.parts.length === parts.length && route.parts.every((part, index) => part.startsWith(':') || part === parts[index]))
  if (found === undefined) return undefined
  const params = found.parts.flatMap((part, index): readonly (readonly [string, string])[] => (part.startsWith(':') ? [[part.slice(1), decodeURIComponent(parts[index] ?? '')]] : []))
  return { pattern: found.pattern, params: Object.fromEntries(params), handler: found.handler }
}
