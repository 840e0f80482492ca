import type { Command } from "commander";
import type { ListenAddress } from "#base/config/listenAddress.ts";
import { metricsAddress } from "#process/metrics/metricsAddress.ts";

/** As commander hands them over. */
export type MetricsFlags = Readonly<{ metricsOpen?: boolean }>;

/** Adds the flags of a command that can be asked how it is while it works. */
export const withMetrics = (command: Command): Command =>
  command
    .option("--metrics <address>", "serve /metrics, /healthz and /readyz here: PORT or HOST:PORT, e.g. 127.0.0.1:9464")
    .option("--metrics-open", "accept an address for --metrics that other machines reach");

/** Where the command is to be asked; undefined: nowhere. @param text the setting `metrics` @throws FERRY_USAGE */
export const metricsPlace = (
  text: string | undefined,
  { metricsOpen = false }: MetricsFlags,
): ListenAddress | undefined => (text === undefined ? undefined : metricsAddress(text, metricsOpen));
