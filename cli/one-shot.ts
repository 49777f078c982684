/**
 * Imported before any schema is made, in processes that make one call: zod would write and compile a parser for each schema
 * it uses, which pays only after many calls.
 */
import * as z from 'zod'

z.config({ jitless: true })
