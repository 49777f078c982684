/** Who speaks in errors and logs of this folder. */
export const layer = 'array:hpe-3par'
