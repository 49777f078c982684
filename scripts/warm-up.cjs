'use strict'
/** `node warm-up.cjs <directory> <entry> <argument>...`: runs an executable and leaves V8's code cache of each chunk it loaded. */
const { writeFileSync } = require('node:fs')
const { join } = require('node:path')
const launch = require('../bin/launch.js')

const [directory, entry, ...args] = process.argv.slice(2)
process.on('exit', () => {
  for (const [name, { script }] of launch.loaded) writeFileSync(join(directory, name), script.createCachedData())
})
process.argv.splice(2)
launch(entry, args, entry === 'smd' ? 'runDaemon' : 'main')
