/** `FileSR --help`: the verbs from the table of calls, the parameters from the driver itself. */
import type { Result } from '../../core/methods/index.ts'
import { argumentName, usageOf, xeCommands } from './arguments.ts'
import { element, escapeXml } from './xml.ts'

type DriverInfo = Result<'Driver.list'>['drivers'][number]

interface DconfSchema {
  readonly properties?: Readonly<Record<string, { readonly description?: string; readonly secret?: boolean }>>
  readonly required?: readonly string[]
}

const exampleSr = '87b8646b-b800-9500-cb7b-af3b74e02f5c'
const exampleVdi = '98de866e-b035-4b1a-a571-613bff542b89'

const dconfOf = (driver: DriverInfo): string =>
  `<dconf>${Object.entries(driver.example).map(([key, value]) => `<${element(key, '').name}>${escapeXml(value)}</${key}>`).join('')}</dconf>`

const column = (rows: readonly (readonly [string, string])[]): string => {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join('')
}

export const helpText = (executable: string, driver: DriverInfo): string => {
  const { properties = {}, required = [] } = driver.dconf as DconfSchema
  const parameters = Object.entries(properties).map(([name, field]) => {
    const marks = [...(required.includes(name) ? [] : ['optional']), ...(field.secret === true ? ['secret'] : [])]
    return [name, `${field.description ?? ''}${marks.length === 0 ? '' : ` (${marks.join(', ')})`}`] as const
  })
  const dconf = dconfOf(driver)
  return `${executable} - ${driver.title}

${driver.summary}

Usage: ${executable} '<dconf>' <command> [<argument>...]
       ${executable} - <command> [<argument>...]        reads the dconf from standard input
       ${executable} driver_info | --help | --version

Commands:
${column([...xeCommands.map((command) => [usageOf(command), command.says] as const), ['driver_info', 'Tells what this driver is and can do.']])}
Sizes are bytes in decimal digits, ${argumentName('force')} is TRUE or FALSE.

Parameters in the dconf:
${parameters.length === 0 ? '  none\n' : column(parameters)}
Arguments can be seen by every user of this host. A dconf that holds a secret belongs on standard input:
  ${executable} - sr_attach ${exampleSr} < /root/dconf.xml

Examples:
  ${executable} '${dconf}' sr_probe
  ${executable} '${dconf}' sr_create ${exampleSr} 0
  ${executable} '${dconf}' sr_attach ${exampleSr}
  ${executable} '${dconf}' vdi_create ${exampleSr} ${exampleVdi} 10737418240
  ${executable} '${dconf}' sr_scan ${exampleSr}

Exit status: 0 success, otherwise the error code of the SM API: EPERM 1, EIO 5, EBUSY 16, EEXIST 17, ENODEV 19, EINVAL 22,
ENOSPC 28, ENOLCK 37, ENOSYS 38. Standard output holds the XML of the answer and nothing else; errors go to standard error.
`
}
