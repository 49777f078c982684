'use strict'
/**
 * `node warm-up.cjs <directory> <entry> <argument>...`: runs an executable and leaves in the directory which chunks it loaded
 * (`chunks.json`, in their order) and V8's code cache of each pack it opened.
 */
const { writeFileSync } = require('node:fs')
const { join } = require('node:path')
const launch = require('../bin/launch.js')

const [directory, entry, ...args] = process.argv.slice(2)
process.on('exit', () => {
  writeFileSync(join(directory, 'chunks.json'), JSON.stringify([...launch.loaded.keys()]))
  for (const [name, script] of launch.scripts) writeFileSync(join(directory, `${name}.js`), script.createCachedData())
})
process.argv.splice(2)
launch(entry, args, entry === 'smd' ? 'runDaemon' : 'main')
