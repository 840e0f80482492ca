/** In an aggregation: an owner whose lease has passed, or none; by the server's clock, so that processes' clocks do not matter. */
export const FREE = { $or: [{ $eq: ["$owner", null] }, { $lt: ["$expiresAt", "$$NOW"] }] };
