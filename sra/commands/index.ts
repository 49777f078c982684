/** The registry: one file a command, loaded when it is asked for. A command that is not here is answered with code 100. */
import type { CommandName, RequestOf, ResponseOf } from '../schema/index.ts'
import type { SraWorld } from '../world.ts'

export type Run<C extends CommandName> = (request: RequestOf<C>, world: SraWorld) => Promise<ResponseOf<C>>

export const commandModules: { readonly [C in CommandName]?: () => Promise<{ readonly run: Run<C> }> } = {
}
