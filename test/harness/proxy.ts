import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Decides about one chunk that a client sent, e.g. `(bytes) => bytes.includes("$changeStream")`. */
export type Predicate = (bytes: Buffer) => boolean;

/**
 * A TCP proxy in this process, in front of one server on loopback.
 *
 * MongoDB drivers that discover a replica set leave a proxy behind, since they connect to the hosts that members name:
 * give them `directConnection=true`. The Java driver inside the connector stays with a single host when the URI names no
 * replica set.
 */
export class TcpProxy implements AsyncDisposable {
  readonly #server = createServer((client) => this.#accept(client));
  readonly #sockets = new Set<Socket>();
  readonly #targetPort: number;
  #delay: { when: Predicate; ms: number } | undefined;
  #loses: { when: Predicate; what: "request" | "answer"; times: number } | undefined;
  #isCut = false;
  #delayed = 0;
  #accepted = 0;
  #lost = 0;

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
  }

  /** Listens on a free loopback port, or on this one. The caller disposes of it. */
  static async start(targetPort: number, port = 0): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort);
    proxy.#server.listen(port, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** How many requests were delayed so far. */
  get delayed(): number {
    return this.#delayed;
  }

  /** How many connections were made so far. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Holds a request back for `ms`, and with it what follows on the same connection. Replaces an earlier rule. */
  delayWhen(when: Predicate, ms: number): void {
    this.#delay = { when, ms };
  }

  /** How many requests or answers were lost so far. */
  get lost(): number {
    return this.#lost;
  }

  /** Lets the next requests of this kind through, and breaks their connections when the answer comes: the server did it, the client cannot know. */
  loseAnswerTo(when: Predicate, times = 1): void {
    this.#loses = { when, what: "answer", times };
  }

  /** Breaks the connection of the next requests of this kind instead of passing them on: the server did not do it, the client cannot know. */
  loseRequest(when: Predicate, times = 1): void {
    this.#loses = { when, what: "request", times };
  }

  /** Breaks every connection and refuses new ones, until `heal()`. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Takes connections again, and delays nothing any more. */
  heal(): void {
    this.#isCut = false;
    this.#delay = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #accept(client: Socket): void {
    if (this.#isCut) {
      client.destroy();
      return;
    }
    this.#accepted += 1;
    const server = connect({ port: this.#targetPort, host: "127.0.0.1" });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      socket.setNoDelay(true);
      this.#sockets.add(socket);
      socket.on("error", () => other.destroy()); // the other side sees what it would see without the proxy
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    let loses = false;
    server.on("data", (bytes) => {
      if (!loses) client.write(bytes);
      else {
        this.#lost += 1;
        client.destroy();
      }
    });
    server.on("end", () => client.end());
    client.on("end", () => server.end());
    client.on("data", (bytes: Buffer) => {
      const lost = this.#loses;
      if (lost !== undefined && lost.times > 0 && lost.when(bytes)) {
        lost.times -= 1;
        if (lost.what === "request") {
          this.#lost += 1;
          client.destroy();
          return;
        }
        loses = true;
      }
      const delay = this.#delay;
      if (delay?.when(bytes)) {
        this.#delayed += 1;
        client.pause(); // keeps the order: nothing overtakes a delayed request
        setTimeout(() => {
          server.write(bytes);
          client.resume();
        }, delay.ms);
      } else server.write(bytes);
    });
  }
}
