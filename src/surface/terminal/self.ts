/** Is this the package, compiled? Else it is a clone, which runs its sources. */
export const IS_COMPILED = import.meta.filename.endsWith(".js");

/** How a user starts ferry here. */
export const FERRY = IS_COMPILED ? "ferry" : "npm run --silent ferry --";
