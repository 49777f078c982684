/** The template driver with a secret in its dconf: how the suite looks for one is tried on it. */
import * as z from 'zod'
import type { DeviceConfig, Driver } from '../../core/contract.ts'
import { parseDconf } from '../../core/define-driver.ts'
import { modelHarness } from './model/world.ts'
import { templatePlace, templateSettings } from './template-harness.ts'

/** The template has no use for a secret: this variant takes one, so that the suite can look for it. */
export const withSecret = (driver: Driver): Driver => {
  const dconf = driver.dconf.extend({ token: z.string().meta({ secret: true, description: 'A secret that must never be seen again' }) })
  const withoutToken = (raw: DeviceConfig): DeviceConfig => Object.fromEntries(Object.entries(raw).filter(([key]) => key !== 'token'))
  const inner = (raw: DeviceConfig): DeviceConfig => withoutToken(parseDconf(driver.type, dconf, raw) as DeviceConfig)
  return {
    ...driver,
    dconf,
    probe: async (ctx, partial) => driver.probe(ctx, withoutToken(partial)),
    prepare: async (ctx, raw, want) => driver.prepare?.(ctx, inner(raw), want),
    remove: async (ctx, raw) => driver.remove?.(ctx, inner(raw)),
    attach: async (ctx, raw) => driver.attach(ctx, inner(raw)),
    detach: async (ctx, raw) => driver.detach(ctx, inner(raw)),
    open: async (ctx, raw) => driver.open(ctx, inner(raw)),
    letGo: async (ctx, raw, vdi, attachment) => driver.letGo?.(ctx, inner(raw), vdi, attachment),
  }
}

/** `driver` is one that `withSecret` made. */
export const secretiveHarness = (driver: Driver) =>
  modelHarness({ driver, name: `${driver.type} with a secret`, ...templateSettings, deviceConfig: { location: templatePlace, token: 'hunter2-correct-horse' }, secrets: ['hunter2-correct-horse'] })
