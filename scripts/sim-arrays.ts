/** `npm run sim:arrays`: simulated arrays out of a fresh checkout, without a build; arguments as for bin/sim-arrays. */
import { main } from '../cli/sim-arrays.ts'

process.exitCode = await main(process.argv.slice(2))
