/** Asks for a secret at the terminal; what is typed is not shown. */
import { StorageError } from '../../core/errors.ts'

const enter = new Set(['\r', '\n', '\u0004'])
const erase = new Set(['\u007f', '\b'])

export const askSecret = async (key: string): Promise<string> => {
  const { stdin, stderr } = process
  stderr.write(`${key}: `)
  stdin.setRawMode(true)
  stdin.setEncoding('utf8')
  let typed = ''
  try {
    for await (const chunk of stdin) {
      for (const character of chunk as string) {
        if (enter.has(character)) return typed
        if (character === '\u0003') throw new StorageError('cancelled', 'Cancelled at the prompt', { layer: 'cli' })
        typed = erase.has(character) ? Array.from(typed).slice(0, -1).join('') : typed + character
      }
    }
    return typed
  } finally {
    stdin.setRawMode(false)
    stdin.pause()
    stderr.write('\n')
  }
}
