/** `smctl driver new`: a folder with a driver that works and is tested, for its author to change. What is copied was made by scripts/template.ts. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { StorageError } from '../../core/errors.ts'
import { builtinDrivers } from '../../drivers/registry.gen.ts'

const templateFolder = join(import.meta.dirname, 'template')

const refuse = (kind: 'invalidArgument' | 'alreadyExists' | 'placeNotBlank', message: string, field: string, remedy: string): StorageError =>
  new StorageError(kind, message, { field, layer: 'cli', remedy })

/** The template calls itself so in names, messages and comments. */
const renamed = (text: string, type: string): string => {
  const executable = `${type.charAt(0).toUpperCase()}${type.slice(1).replaceAll(/-(.?)/g, (_, letter: string) => letter.toUpperCase())}`
  return text
    .replace('The template that authors copy: an SR', `SR type ${type}: an SR`)
    .replace('The driver that authors copy', 'The driver')
    .replaceAll(/\btemplate([A-Z])/g, (_, letter: string) => letter.toLowerCase())
    .replace('driver: template,', 'driver,')
    .replaceAll(/^import template\b/gm, 'import driver')
    .replaceAll('(template)', '(driver)')
    .replaceAll(/\btemplate\b/g, type)
    .replaceAll(/\bTemplate\b/g, executable)
}

/** Answers what to do next. Changes nothing when the type is taken or the folder holds anything. */
export const newDriver = (type: string, folder: string): string => {
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(type)) throw refuse('invalidArgument', `type: must be lower-case letters, digits and dashes, found ${JSON.stringify(type.slice(0, 64))}`, 'type', 'For instance smctl driver new mystore')
  if (Object.hasOwn(builtinDrivers, type)) throw refuse('alreadyExists', `There is an SR type ${type} already`, 'type', 'Choose another type')
  const target = resolve(folder)
  if (existsSync(target) && readdirSync(target).length > 0) throw refuse('placeNotBlank', `${target} is not empty`, 'folder', `Name a new folder: smctl driver new ${type} <folder>`)
  mkdirSync(target, { recursive: true })
  for (const name of readdirSync(templateFolder)) {
    writeFileSync(join(target, name === 'gitignore' ? '.gitignore' : name), renamed(readFileSync(join(templateFolder, name), 'utf8'), type))
  }
  return `${target} holds a driver for SRs of type ${type}.\nNext: cd ${target}; npm install; npm test. README.md goes on from there.\n`
}
