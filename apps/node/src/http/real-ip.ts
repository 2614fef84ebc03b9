import { BlockList, isIP } from 'node:net'
import { peerAddress, type Incoming } from './incoming.ts'
import type { Middleware } from './middleware.ts'
import type { Options } from './options.ts'

const privateNetworks = '10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,127.0.0.0/8,::1/128,fc00::/7'

/** Takes the client's address from the headers of proxies that are trusted; who is not, is who he is. */
export function realIp(options: Options): Middleware {
  const trustsAll = options.flag('real_ip.trust_all')
  const trusted = new BlockList()
  for (const subnet of options.list('real_ip.trusted.subnets', privateNetworks)) {
    const [address = '', bits] = subnet.split('/')
    const family = isIP(address)
    const prefix = bits === undefined ? (family === 4 ? 32 : 128) : Number(bits)
    if (family === 0 || !(prefix >= 0 && prefix <= (family === 4 ? 32 : 128))) {
      throw options.invalid('real_ip.trusted.subnets', `expected subnets like 10.0.0.0/8, found "${subnet}"`)
    }
    trusted.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6')
  }
  const isTrusted = (address: string): boolean => {
    const family = isIP(address)
    return family !== 0 && (trustsAll || trusted.check(address, family === 4 ? 'ipv4' : 'ipv6'))
  }
  return (incoming) => {
    if (isTrusted(peerAddress(incoming.request)))
      incoming.remoteAddress = claimed(incoming, isTrusted) ?? incoming.remoteAddress
    return false
  }
}

function claimed({ request }: Incoming, isTrusted: (address: string) => boolean): string | undefined {
  for (const name of ['true-client-ip', 'x-real-ip']) {
    const value = request.headers[name]
    if (typeof value === 'string' && isIP(value.trim()) !== 0) return value.trim()
  }
  const { 'x-forwarded-for': header } = request.headers
  const chain = String(header ?? '')
    .split(',')
    .map((each) => each.trim())
    .filter((each) => isIP(each) !== 0)
  // Each proxy appends whom it saw: the last one that is no proxy of ours is the only one we know of.
  return chain.findLast((address) => !isTrusted(address)) ?? chain[0]
}
