/** Reads the arguments of a model tool; an option that the model does not know is a mistake of the test or of the driver, and throws. */

export interface Arguments {
  readonly values: (option: string) => readonly string[]
  readonly value: (option: string) => string | undefined
  readonly has: (option: string) => boolean
  readonly operands: readonly string[]
}

export const readArguments = (tool: string, args: readonly string[], withValue: readonly string[], plain: readonly string[]): Arguments => {
  const values = new Map<string, string[]>()
  const operands: string[] = []
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? ''
    if (arg === '--') {
      operands.push(...args.slice(at + 1))
      break
    }
    if (withValue.includes(arg)) {
      values.set(arg, [...(values.get(arg) ?? []), args[at + 1] ?? ''])
      at += 1
    } else if (plain.includes(arg)) values.set(arg, [...(values.get(arg) ?? []), ''])
    else if (arg.startsWith('-')) throw new Error(`the model of ${tool} does not know the option ${arg}`)
    else operands.push(arg)
  }
  return {
    values: (option) => values.get(option) ?? [],
    value: (option) => values.get(option)?.at(-1),
    has: (option) => values.has(option),
    operands,
  }
}
