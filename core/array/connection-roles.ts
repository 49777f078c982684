/** Which keys of a connection say where the array is and who asks: for front ends whose users are asked for just these three. */
import type * as z from 'zod'

export type ConnectionRole = 'address' | 'username' | 'password'

/** The key that carries `.meta({ role })` in the driver's schema; undefined when the driver has none. */
export const keyOfRole = (connection: z.ZodObject, role: ConnectionRole): string | undefined =>
  Object.entries(connection.shape).find(([, field]) => (field as z.ZodType).meta()?.['role'] === role)?.[0]
