import { DESK_HANDLERS } from "./deskHandlers.ts";
import { DOCUMENT_HANDLERS } from "./documentHandlers.ts";
import type { Handlers } from "./handler.ts";
import { ROUTE_HANDLERS } from "./routeHandlers.ts";
import { STATUS_HANDLERS } from "./statusHandlers.ts";
import { STEER_HANDLERS } from "./steerHandlers.ts";
import { SWITCH_HANDLERS } from "./switchHandlers.ts";

/** One handler for each operation of the contract: the compiler knows whether one is missing. */
export const HANDLERS: Handlers = {
  ...STATUS_HANDLERS,
  ...ROUTE_HANDLERS,
  ...DOCUMENT_HANDLERS,
  ...STEER_HANDLERS,
  ...SWITCH_HANDLERS,
  ...DESK_HANDLERS,
};
