/** The version of package.json, in the bundle as well as from sources. */
import packageJson from '../package.json' with { type: 'json' }

export const version: string = packageJson.version
