/** Ids of the connection parameters: what queryConnectionParameters publishes and every request with Connections has. */
export const parameterIds = { connection: 'array', address: 'address', settings: 'settings', filter: 'deviceNamePrefix' } as const
