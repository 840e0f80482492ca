import { hostname, userInfo } from "node:os";
import type { Author } from "#process/steer/auditLog.ts";

const userName = (): string => {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? "unknown"}`; // a container's user need not have a name
  }
};

/** Who has typed the command. */
export const cliAuthor = (): Author => ({ via: "cli", who: `${userName()}@${hostname()}` });
