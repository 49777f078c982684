/** The daemon as a process, for tests. With TEST_ACTIVATED the socket on descriptor 3 counts as given by a service manager. */
import { runDaemon } from '../../cli/smd.ts'

if (process.env['TEST_ACTIVATED'] === '1') Object.assign(process.env, { LISTEN_PID: String(process.pid), LISTEN_FDS: '1' })
process.exitCode = await runDaemon(process.argv.slice(2))
