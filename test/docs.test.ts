/** Pages that point somewhere point at something, and code in them is the project's own. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')
const pages = ['README.md', ...readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`),
  ...readdirSync(join(root, 'drivers'), { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => `drivers/${entry.name}/README.md`).filter((page) => existsSync(join(root, page)))]

describe.each(pages)('%s', (page) => {
  it('links to nothing that is not there', () => {
    const links = [...readFileSync(join(root, page), 'utf8').matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map((match) => match[1] ?? '').filter((link) => !/^[a-z]+:/.test(link))
    expect(links.filter((link) => !existsSync(join(root, dirname(page), link)))).toEqual([])
  })
})

describe('docs/writing-a-driver.md', () => {
  it('shows the test of the template as it is', () => {
    const shown = /```ts\n([^]*?)```/.exec(readFileSync(join(root, 'docs', 'writing-a-driver.md'), 'utf8'))?.[1]
    expect(shown).toBeDefined()
    expect(readFileSync(join(root, 'test', 'conformance', 'template.test.ts'), 'utf8')).toContain(shown)
  })
})

describe('the commands of the package', () => {
  it('are all executables of bin/', () => {
    const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly bin: Readonly<Record<string, string>> }
    const inside = readdirSync(join(root, 'bin')).filter((name) => !name.includes('.')).sort()
    expect(Object.keys(bin).sort()).toEqual(inside)
  })
})
