import type { Route } from "#base/config/routes.ts";
import { nearest } from "#base/config/suggest.ts";
import { EVERY_TOPIC } from "#base/config/workerOptions.ts";
import type { Log } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import { topicMatcher } from "#io/wire/topics.ts";
import { RouteFilter } from "#route/filter/routeFilter.ts";
import { routeNamed, routesOn } from "./routesOn.ts";

/** A route at work: its topic is there. */
export type LiveRoute = Readonly<{
  route: Route;
  /** Undefined where the route changes nothing: documents stay as they lie. */
  filter: RouteFilter | undefined;
  partitions: number;
}>;

export type RouteTableOptions = Readonly<{
  /** Routes of the configuration; undefined carries every topic to the namespace of its name. */
  configured: readonly Route[] | undefined;
  /** Topics to apply, as globs. */
  topics: string;
  logger: Logger;
}>;

/** Which routes there are, and which of them have a topic by now. */
export class RouteTable {
  readonly #options: RouteTableOptions;
  readonly #matches: (topic: string) => boolean;
  readonly #filters = new Map<string, RouteFilter>();
  readonly #live = new Map<string, LiveRoute>();
  readonly #unrouted = new Set<string>();
  readonly #missing = new Set<string>();
  readonly #unmatched = new Set<string>();

  /** @throws FERRY_CONFIG for rules that contradict each other */
  constructor(options: RouteTableOptions) {
    this.#options = options;
    this.#matches = topicMatcher(options.topics);
    for (const route of options.configured ?? []) {
      const { name, fields, where } = route;
      if (fields !== undefined || where !== undefined)
        this.#filters.set(name, new RouteFilter({ name, fields, where }));
    }
  }

  /** The route of this name, whether its topic is there or not; undefined where this worker does not carry it. */
  named(name: string): Route | undefined {
    const route = routeNamed(this.#options.configured, name);
    return route !== undefined && this.#matches(route.from) ? route : undefined;
  }

  live(name: string): LiveRoute | undefined {
    return this.#live.get(name);
  }

  all(): readonly LiveRoute[] {
    return [...this.#live.values()];
  }

  /** Looks for topics, and calls back for each route that is new or whose topic got more partitions. @throws FERRY_KAFKA_* */
  async discover(log: Log, register: (found: LiveRoute) => Promise<void>): Promise<void> {
    const there = await log.topics();
    const topics = there.filter(this.#matches);
    this.#sayUnmatched(there);
    this.#sayMissing(topics);
    for (const topic of topics) {
      const routes = routesOn(this.#options.configured, topic);
      if (routes.length === 0) this.#sayUnrouted(topic);
      const partitions = routes.length === 0 ? 0 : await log.partitions(topic);
      for (const route of routes) {
        if (this.#live.get(route.name)?.partitions === partitions) continue;
        const found = { route, filter: this.#filters.get(route.name), partitions };
        await register(found);
        this.#live.set(route.name, found);
        this.#options.logger.info({ route: route.name, topic, count: partitions }, "topic found");
      }
    }
  }

  /** The topic may come with its connector; but it may be a misspelt `from` as well. */
  #sayMissing(topics: readonly string[]): void {
    for (const { name, from } of this.#options.configured ?? []) {
      if (topics.includes(from) || this.#missing.has(name) || !this.#matches(from)) continue;
      this.#missing.add(name);
      this.#options.logger.warn({ route: name, topic: from }, "the source topic of this route does not exist yet");
    }
  }

  /** Each part of `--topics` that means nothing yet: it may come later, or be a misspelling. */
  #sayUnmatched(there: readonly string[]): void {
    for (const pattern of this.#options.topics.split(",").map((part) => part.trim())) {
      if (pattern === EVERY_TOPIC || this.#unmatched.has(pattern) || there.some(topicMatcher(pattern))) continue;
      this.#unmatched.add(pattern);
      const close = nearest(pattern, there);
      const hint = close === undefined ? "" : `; did you mean ${close}?`;
      this.#options.logger.warn({ topic: pattern }, `--topics names no existing topic; waiting for it${hint}`);
    }
  }

  #sayUnrouted(topic: string): void {
    if (this.#unrouted.has(topic)) return;
    this.#unrouted.add(topic);
    this.#options.logger.warn({ topic }, "no route reads this topic: it is not applied");
  }
}
