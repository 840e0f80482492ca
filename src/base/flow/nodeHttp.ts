/**
 * Node's own HTTP, for modules that every command loads. Imported as `node:http` it brings `fetch` and WebSocket along, because
 * an import names all that a module has: 45 ms of CPU at each start.
 */
export const nodeHttp = (): typeof import("node:http") => process.getBuiltinModule("node:http");

export const nodeHttps = (): typeof import("node:https") => process.getBuiltinModule("node:https");
