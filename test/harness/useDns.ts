/** For `node --import`, and for a test itself: this process asks the DNS server of a test, and finds every `*.ferry.test` on loopback. */
import dns from "node:dns";

const usual = dns.lookup;

/** @param server `host:port` of a `dnsServer` */
export const useDns = (server: string): void => {
  dns.setServers([server]);
  const lookup = (host: string, ...rest: readonly unknown[]): unknown =>
    (usual as (...args: readonly unknown[]) => unknown)(host.endsWith(".ferry.test") ? "127.0.0.1" : host, ...rest);
  dns.lookup = lookup as typeof dns.lookup;
};

const { FERRY_TEST_DNS } = process.env;
if (FERRY_TEST_DNS !== undefined) useDns(FERRY_TEST_DNS);
